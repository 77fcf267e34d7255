// All orientations of one wave with the slopes of every evaluation.
//
// For every orientation the slopes g with h, k, l are found for all lanes, and with them what follows from one evaluation
// alone: g s (the cell), numbers of cells. What is asked for besides is added up from them: C^T g (all geometry, which is
// done once for each wave, outside of the innermost loop), spindle angle, mosaic angle.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "amorphous.h"
#include "slopes.h"

// Bits of `Wanted::parts`.
enum Part { PANEL = 1, CELL = 2, SIZE = 4, SPINDLE = 8, SPREAD = 16, WAVE = 32, POLAR = 64, STAR = 128 };
constexpr int GEOMETRY = PANEL | WAVE | POLAR, VECTORS = PANEL | WAVE;  // what is not of crystals; what follows q
// Rows of one crystal.
enum CrystalRow { SUM, IN_CELL, IN_SIZE = IN_CELL + 9, START = IN_SIZE + SIZES, STEP, ANGLES,
                  CRYSTAL_ROWS = ANGLES + 3 };

extern "C" {

// Beside a grain, as `_GrainWanted` in slopes.py.
struct GrainWanted {
    int64_t crystal, turning, angles;  // number; whether mosaic rotations turn with it; derivatives of a mosaic angle
    double growth;                     // of its numbers of cells
    double star[MATRIX];               // a*, b*, c* of the cell vectors, 1/angstrom: others may have been given
    const double *spindle;             // (phi, 3, 3) rotations
    const double *rates;               // (1 or phi, domains, 3, 3) derivative of a mosaic rotation with its angle
    const double *slopes;              // (domains, angles) of mosaic angles with their parameters
};

// As `_Wanted` in slopes.py.
struct Wanted {
    int64_t size, parts;
    double axis[3];  // of the spindle
    const GrainWanted *grains;
    const Amorphous *amorphous;  // null: there is none
};

}  // extern "C"

namespace {

struct Slopes {
    alignas(64) double g[3][LANES], bare[LANES], y[3][LANES];       // slopes with h, k, l; of one wave
    alignas(64) double gaussian[LANES];                             // squared lattice factor, of shapes that are one
    alignas(64) double due[LANES];                                  // all factors of a term of one grain
    alignas(64) double weight[LANES], open[LANES];                  // all factors of a term; without capture, polarisation
    alignas(64) double amplitude[3][LANES];
    alignas(64) double photons[LANES], uncaptured[LANES], unpolarized[LANES], all_unpolarized[LANES], dim[LANES];
    alignas(64) double uncaptured_layer[LANES], omega_total[LANES], wet[LANES];
    alignas(64) double settled_at[LANES];                           // ray x sources + source of the polarisation in use
    Place place;
};

// One orientation: its matrices, row by row.
struct Turn {
    double cell[MATRIX], whole[MATRIX], spindle[MATRIX], angle[MATRIX];
    double step;
    const double *angle_slopes;
};

inline void times(const double *m, const double *v, double *to) {
    for (int i = 0; i < 3; i++) to[i] = dot(m + 3 * i, v[0], v[1], v[2]);
}

Turn turn_of(const Grain &g, const Wanted &wanted, const GrainWanted &w, const double *cell, int64_t number) {
    Turn t;
    const int64_t step = number / g.domains, domain = number % g.domains;
    const double *mosaic = g.mosaic + MATRIX * (step * g.next_step + domain), *spindle = w.spindle + MATRIX * step;
    std::copy_n(cell, MATRIX, t.cell);
    t.step = double(step), t.angle_slopes = w.slopes + domain * w.angles;
    for (int row = 0; row < 3; row++) {
        for (int column = 0; column < 3; column++) {
            t.whole[3 * row + column] = dot(mosaic + 3 * row, spindle[column], spindle[3 + column], spindle[6 + column]);
        }
        const double *turned = g.turned + MATRIX * step + 3 * row;
        double side[3];
        cross(wanted.axis, w.turning ? cell + 3 * row : turned, side);
        if (w.turning) std::copy_n(side, 3, t.spindle + 3 * row);
        else times(mosaic, side, t.spindle + 3 * row);
        if (wanted.parts & SPREAD && w.angles) {
            times(w.rates + MATRIX * (step * g.next_step + domain), turned, t.angle + 3 * row);
        }
    }
    return t;
}

// What is summed of the slopes with the cell: nothing; all; all of a "gauss" that is measured in given reciprocal vectors.
enum CellSum { NONE, OWN, GIVEN };

// Where the slopes of one orientation go.
struct Sums {
    double *sum, *cell, *size, *gh, *gk, *gl;
    const double *due, *gaussian, *whole, *star;
    double growth;
};

// Add slopes with h, k, l times a vector of the crystal, 1/m, to the slopes with the cell.
INLINE void add_cell(double *e, double gh, double gk, double gl, double x, double y, double z) {
    e[0] += gh * x, e[LANES] += gh * y, e[2 * LANES] += gh * z;
    e[3 * LANES] += gk * x, e[4 * LANES] += gk * y, e[5 * LANES] += gk * z;
    e[6 * LANES] += gl * x, e[7 * LANES] += gl * y, e[8 * LANES] += gl * z;
}

// The scattering vector as the crystal without its rotations has it.
INLINE void add_turned(const double *m, const Block &b, double *e, double gh, double gk, double gl, int i) {
    const double x = b.x[i], y = b.y[i], z = b.z[i];
    add_cell(e, gh, gk, gl, m[0] * x + m[3] * y + m[6] * z, m[1] * x + m[4] * y + m[7] * z, m[2] * x + m[5] * y + m[8] * z);
}

// One lane, whose squared structure factor is given; the squared lattice factor.
template <class T, Shape SHAPE, CellSum CELLS, bool SIZED>
INLINE double add_lane(const Grain &g, const Block &b, const Lane &p, double squared, const Sums &to, int i) {
    const auto e = evaluate<T, SHAPE>(g, p, to.gaussian[i]);
    to.sum[i] += squared * double(e.value);
    const double due = squared * to.due[i];
    const double gh = double(e.slope[0]) * due, gk = double(e.slope[1]) * due, gl = double(e.slope[2]) * due;
    to.gh[i] = gh, to.gk[i] = gk, to.gl[i] = gl;
    if constexpr (CELLS == GIVEN) {
        // Given ones follow the inverse of the cell: with r, the vector from the node, and its slope w it is g s - (star w) r.
        const double *a = g.reciprocal, *own = to.star, along = e.steep * due;
        const double x = p.dh * a[0] + p.dk * a[3] + p.dl * a[6], y = p.dh * a[1] + p.dk * a[4] + p.dl * a[7];
        const double z = p.dh * a[2] + p.dk * a[5] + p.dl * a[8], back = -1e10 * along;
        add_turned(to.whole, b, to.cell + i, gh, gk, gl, i);
        add_cell(to.cell + i, dot(own, x, y, z), dot(own + 3, x, y, z), dot(own + 6, x, y, z), back * x, back * y, back * z);
    } else if constexpr (CELLS == OWN && SHAPE == GAUSS) {
        // Its distances are those of reciprocal space: with s - s0 the slope g of the node's s0 = h0 a* + k0 b* + l0 c*.
        const double *a = g.reciprocal, h = 1e10 * p.h0, k = 1e10 * p.k0, l = 1e10 * p.l0;
        add_cell(to.cell + i, gh, gk, gl, h * a[0] + k * a[3] + l * a[6], h * a[1] + k * a[4] + l * a[7],
                 h * a[2] + k * a[5] + l * a[8]);
    } else if constexpr (CELLS != NONE) {
        add_turned(to.whole, b, to.cell + i, gh, gk, gl, i);
    }
    if constexpr (SIZED) {
        double *size = to.size + i;
        const double sized = due * to.growth;
        size[0] += double(e.size[0]) * sized, size[LANES] += double(e.size[1]) * sized;
        size[2 * LANES] += double(e.size[2]) * sized;
        if constexpr (SHAPE == GAUSS_HKL) {
            size[3 * LANES] += e.size[3] * sized, size[4 * LANES] += e.size[4] * sized, size[5 * LANES] += e.size[5] * sized;
        }
    }
    return double(e.value);
}

template <class T, Shape SHAPE, CellSum CELLS, bool SIZED>
OUTLINE void add_lanes_slopes(const Setup &s, const Grain &g, const double *cell, const Block &b, const Sums &sums, int from,
                              int to) {
    const T *squares = squares_of<T>(s, b);
    const Sums here = sums;
#pragma omp simd
    for (int i = from; i < to; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        add_lane<T, SHAPE, CELLS, SIZED>(g, b, p, double(nearest_squared<T>(s, squares, p)), here, i);
    }
}

// The same where amplitudes are not those of the nearest node in a table: they have slopes with h, k, l, too.
template <class T, Shape SHAPE, CellSum CELLS, bool SIZED>
OUTLINE void add_lanes_found(const Setup &s, const Grain &g, const double *cell, Block &b, const Sums &sums, Slopes &t,
                             int from, int to) {
    double *const slopes[3] = {t.amplitude[0], t.amplitude[1], t.amplitude[2]};
    for (int i = from; i < to; i += GROUP) {
        s.interpolate ? interpolate_slopes<T>(s, cell, b, slopes, i) : mix<T>(s, cell, b, i);
    }
    for (int i = from; i < to; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        const double value = add_lane<T, SHAPE, CELLS, SIZED>(g, b, p, b.amplitude[i], sums, i) * t.due[i];
        if (!s.interpolate) continue;
        const double gh = t.amplitude[0][i] * value, gk = t.amplitude[1][i] * value, gl = t.amplitude[2][i] * value;
        t.g[0][i] += gh, t.g[1][i] += gk, t.g[2][i] += gl;
        if constexpr (CELLS != NONE) add_turned(sums.whole, b, sums.cell + i, gh, gk, gl, i);
    }
}

// The slopes of some lanes: those with h, k, l, and what follows from one evaluation alone.
template <class T, Shape SHAPE, CellSum CELLS, bool SIZED>
void add_slopes(const Setup &s, const Grain &g, const GrainWanted &w, const Turn &turn, Block &b, Slopes &t, const Rows &rows,
                int from, int to) {
    const Sums sums = {b.sum, rows[IN_CELL], rows[IN_SIZE], t.g[0], t.g[1], t.g[2],
                       t.due, t.gaussian, turn.whole, w.star, w.growth};
    s.interpolate || s.parts_mixed ? add_lanes_found<T, SHAPE, CELLS, SIZED>(s, g, turn.cell, b, sums, t, from, to)
                                   : add_lanes_slopes<T, SHAPE, CELLS, SIZED>(s, g, turn.cell, b, sums, from, to);
}

// What follows from the slopes of some lanes with h, k, l.
void spread_slopes(const Wanted &wanted, const GrainWanted &w, const Turn &turn, const Block &b, Slopes &t, const Rows &rows,
                   int from, int to) {
    const double *gh = t.g[0], *gk = t.g[1], *gl = t.g[2];
    if (wanted.parts & VECTORS) {
        const double *c = turn.cell;
#pragma omp simd
        for (int i = from; i < to; i++) {
            t.y[0][i] += c[0] * gh[i] + c[3] * gk[i] + c[6] * gl[i];
            t.y[1][i] += c[1] * gh[i] + c[4] * gk[i] + c[7] * gl[i];
            t.y[2][i] += c[2] * gh[i] + c[5] * gk[i] + c[8] * gl[i];
        }
    }
    const auto along = [&](const double *m, int i) {
        const double x = b.x[i], y = b.y[i], z = b.z[i];
        return gh[i] * dot(m, x, y, z) + gk[i] * dot(m + 3, x, y, z) + gl[i] * dot(m + 6, x, y, z);
    };
    if (wanted.parts & SPINDLE) {
        double *start = rows[START], *step = rows[STEP];
#pragma omp simd
        for (int i = from; i < to; i++) {
            const double slope = along(turn.spindle, i);
            start[i] += slope, step[i] += turn.step * slope;
        }
    }
    for (int n = 0; wanted.parts & SPREAD && n < w.angles; n++) {
        double *angle = rows[ANGLES + n];
        const double rate = turn.angle_slopes[n];
#pragma omp simd
        for (int i = from; i < to; i++) angle[i] += rate * along(turn.angle, i);
    }
}

// The distances of a group, for a shape that is a Gaussian of them; false where all of them are out of its reach.
template <Shape SHAPE> OUTLINE bool find_near(const Grain &g, const double *cell, const Block &b, double *distances, int from) {
    alignas(64) double found[GROUP];
    double nearest = INFINITY;
#pragma omp simd reduction(min : nearest)
    for (int i = 0; i < GROUP; i++) {
        found[i] = distance_of<SHAPE>(g, lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]));
        nearest = std::min(nearest, found[i]);
    }
    std::copy_n(found, GROUP, distances + from);
    return nearest < g.reach;
}

// Distances become squared lattice factors.
template <class T, Shape SHAPE> OUTLINE void find_gaussians(const Grain &g, double *values, int from, int to) {
#pragma omp simd
    for (int i = from; i < to; i++) values[i] = squared_at<T, SHAPE>(g, values[i]);
}

// All orientations of one wave.
template <class T, Shape SHAPE, CellSum CELLS, bool SIZED>
void sweep_slopes(const Setup &s, const Wanted &wanted, Block &b, Slopes &t, const Rows &rows) {
    constexpr bool TAILS = SHAPE == SQUARE || SHAPE == ROUND;
    std::fill_n(t.bare, b.lanes, 0.0);
    for (double *y : t.y) std::fill_n(y, b.lanes, 0.0);
    for (int64_t place = 0; place < s.grain_count; place++) {
        const Grain &g = s.grains[place];
        const GrainWanted &w = wanted.grains[place];
        if (is_dark(g, b)) continue;
        const Rows own = {rows[int(SHARED_ROWS + CRYSTAL_ROWS * w.crystal)]};
        std::fill_n(b.sum, b.lanes, 0.0);
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) t.due[i] = t.weight[i] * g.weight;
        int64_t number = 0;
        for_orientations(s, g, 0, false, [&](const double *cell, double) {
            const Turn turn = turn_of(g, wanted, w, cell, number++);
            // Runs of groups that are not too far from all nodes.
            for (int from = 0, to; from < b.lanes; from = to + GROUP) {
                for (to = TAILS ? b.lanes : from; to < b.lanes; to += GROUP) {
                    if (!find_near<SHAPE>(g, cell, b, t.gaussian, to)) break;
                }
                if (to == from) continue;
                if (!TAILS) find_gaussians<T, SHAPE>(g, t.gaussian, from, to);
                add_slopes<T, SHAPE, CELLS, SIZED>(s, g, w, turn, b, t, own, from, to);
                spread_slopes(wanted, w, turn, b, t, own, from, to);
            }
        });
        double *sum = own[SUM];
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) t.bare[i] += b.sum[i] * g.weight, sum[i] += b.sum[i] * t.due[i];
    }
}

using Sweep = void (*)(const Setup &, const Wanted &, Block &, Slopes &, const Rows &);

template <class T, Shape SHAPE, CellSum CELLS> Sweep sweep_with(int64_t parts) {
    return parts & SIZE ? sweep_slopes<T, SHAPE, CELLS, true> : sweep_slopes<T, SHAPE, CELLS, false>;
}

template <class T, Shape SHAPE> Sweep sweep_for(int64_t parts) {
    if (!(parts & CELL)) return sweep_with<T, SHAPE, NONE>(parts);
    if constexpr (SHAPE == GAUSS) {
        if (parts & STAR) return sweep_with<T, SHAPE, GIVEN>(parts);
    }
    return sweep_with<T, SHAPE, OWN>(parts);
}

template <class T> Sweep sweep_of(int64_t shape, int64_t parts) {
    switch (shape) {
        case SQUARE: return sweep_for<T, SQUARE>(parts);
        case ROUND: return sweep_for<T, ROUND>(parts);
        case GAUSS: return sweep_for<T, GAUSS>(parts);
        default: return sweep_for<T, GAUSS_HKL>(parts);
    }
}

}  // namespace
