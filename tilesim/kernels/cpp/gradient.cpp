// The sum over a pixel with all that its derivatives are made of, in one pass: what `fused.cpp` sums, and beside it.
//
// The loops are those of the image. For every orientation the slopes g with h, k, l are found for all lanes first, and
// then what is asked for is added up from them: g s (the cell), C^T g (all geometry, which is done once for each wave,
// outside of the innermost loop), numbers of cells, spindle angle, mosaic angle.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "adjoint.h"
#include "slopes.h"

// Bits of `Wanted::parts`.
enum Part { GEOMETRY = 1, CELL = 2, SIZE = 4, SPINDLE = 8, SPREAD = 16 };
// Rows of one crystal.
enum CrystalRow { SUM, IN_CELL, IN_SIZE = IN_CELL + 9, IN_METRIC = IN_SIZE + SIZES, START = IN_METRIC + METRIC, STEP,
                  ANGLES, CRYSTAL_ROWS = ANGLES + 3 };

extern "C" {

// Beside a grain, as `_GrainWanted` in slopes.py.
struct GrainWanted {
    int64_t crystal, turning, angles;  // number; whether mosaic rotations turn with it; derivatives of a mosaic angle
    double growth;                     // of its numbers of cells
    const double *spindle;             // (phi, 3, 3) rotations
    const double *rates;               // (1 or phi, domains, 3, 3) derivative of a mosaic rotation with its angle
    const double *slopes;              // (domains, angles) of mosaic angles with their parameters
};

// As `_Wanted` in slopes.py.
struct Wanted {
    int64_t size, parts;
    double axis[3];  // of the spindle
    const GrainWanted *grains;
};

}  // extern "C"

namespace {

struct Slopes {
    alignas(64) double g[3][LANES], bare[LANES], y[3][LANES];       // slopes with h, k, l; of one wave
    alignas(64) double gaussian[LANES];                             // squared lattice factor, of shapes that are one
    alignas(64) double weight[LANES], open[LANES];                  // all factors of a term; without capture, polarisation
    alignas(64) double amplitude[3][LANES];
    alignas(64) double photons[LANES], uncaptured[LANES], unpolarized[LANES], all_unpolarized[LANES], dim[LANES];
    alignas(64) double uncaptured_layer[LANES], omega_total[LANES], wet[LANES];
    alignas(64) int64_t settled_at[LANES];                          // ray x sources + source of the polarisation in use
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

Turn turn_of(const Setup &, const Grain &g, const Wanted &wanted, const GrainWanted &w, const double *cell, int64_t number) {
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

// Where the slopes of one orientation go.
struct Sums {
    double *bare, *weight, *sum, *size, *metric, *gh, *gk, *gl;
    const double *gaussian;
    double share, growth;  // weight of the grain, and that times its growth
};

// One lane, whose squared structure factor is given; the squared lattice factor.
template <class T, Shape SHAPE, bool SIZED>
INLINE double add_lane(const Grain &g, const Lane &p, double squared, const Sums &to, int i) {
    const auto e = evaluate<T, SHAPE>(g, p, to.gaussian[i]);
    const double value = squared * double(e.value) * to.share, due = squared * to.weight[i];
    to.bare[i] += value, to.sum[i] += value * to.weight[i];
    const double share = due * to.share, sized = due * to.growth;
    to.gh[i] = double(e.slope[0]) * share, to.gk[i] = double(e.slope[1]) * share, to.gl[i] = double(e.slope[2]) * share;
    if constexpr (SIZED) {
        double *size = to.size + i;
        size[0] += double(e.size[0]) * sized, size[LANES] += double(e.size[1]) * sized;
        size[2 * LANES] += double(e.size[2]) * sized;
        if constexpr (SHAPE == GAUSS_HKL) {
            size[3 * LANES] += e.size[3] * sized, size[4 * LANES] += e.size[4] * sized, size[5 * LANES] += e.size[5] * sized;
        }
        if constexpr (SHAPE == GAUSS) {
            double *metric = to.metric + i;
            metric[0] += e.metric[0] * share, metric[LANES] += e.metric[1] * share, metric[2 * LANES] += e.metric[2] * share;
            metric[3 * LANES] += e.metric[3] * share, metric[4 * LANES] += e.metric[4] * share;
            metric[5 * LANES] += e.metric[5] * share;
        }
    }
    return double(e.value);
}

template <class T, Shape SHAPE, bool SIZED>
OUTLINE void add_lanes_slopes(const Setup &s, const Grain &g, const double *cell, const Block &b, const Sums &sums, int from, int to) {
    const T *squares = squares_of<T>(s, b);
    const Sums here = sums;
#pragma omp simd
    for (int i = from; i < to; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        add_lane<T, SHAPE, SIZED>(g, p, double(nearest_squared<T>(s, squares, p)), here, i);
    }
}

// The slopes with h, k, l of some lanes, and what does not go on from them.
template <class T, Shape SHAPE>
void add_slopes(const Setup &s, const Grain &g, const GrainWanted &w, int64_t parts, const double *cell, Block &b, Slopes &t,
                const Rows &rows, int from, int to) {
    const Sums sums = {t.bare, t.weight, rows[SUM], rows[IN_SIZE], rows[IN_METRIC], t.g[0], t.g[1], t.g[2], t.gaussian,
                       g.weight, g.weight * w.growth};
    if (!s.interpolate && !s.parts_mixed) {
        const bool sized = parts & SIZE || (SHAPE == GAUSS && parts & CELL);
        return sized ? add_lanes_slopes<T, SHAPE, true>(s, g, cell, b, sums, from, to)
                     : add_lanes_slopes<T, SHAPE, false>(s, g, cell, b, sums, from, to);
    }
    double *const slopes[3] = {t.amplitude[0], t.amplitude[1], t.amplitude[2]};
    for (int i = from; i < to; i += GROUP) {
        s.interpolate ? interpolate_slopes<T>(s, cell, b, slopes, i) : mix<T>(s, cell, b, i);
    }
    for (int i = from; i < to; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        const double value = add_lane<T, SHAPE, true>(g, p, b.amplitude[i], sums, i) * g.weight * t.weight[i];
        for (int axis = 0; s.interpolate && axis < 3; axis++) t.g[axis][i] += t.amplitude[axis][i] * value;
    }
}

// What follows from the slopes of some lanes.
void spread_slopes(const Wanted &wanted, const GrainWanted &w, const Turn &turn, const Block &b, Slopes &t, const Rows &rows,
                   int from, int to) {
    const double *gh = t.g[0], *gk = t.g[1], *gl = t.g[2];
    if (wanted.parts & CELL) {
        const double *m = turn.whole;
        double *e = rows[IN_CELL];
#pragma omp simd
        for (int i = from; i < to; i++) {
            const double x = m[0] * b.x[i] + m[3] * b.y[i] + m[6] * b.z[i], y = m[1] * b.x[i] + m[4] * b.y[i] + m[7] * b.z[i];
            const double z = m[2] * b.x[i] + m[5] * b.y[i] + m[8] * b.z[i];
            e[i] += gh[i] * x, e[LANES + i] += gh[i] * y, e[2 * LANES + i] += gh[i] * z;
            e[3 * LANES + i] += gk[i] * x, e[4 * LANES + i] += gk[i] * y, e[5 * LANES + i] += gk[i] * z;
            e[6 * LANES + i] += gl[i] * x, e[7 * LANES + i] += gl[i] * y, e[8 * LANES + i] += gl[i] * z;
        }
    }
    if (wanted.parts & GEOMETRY) {
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
    double nearest = INFINITY;
#pragma omp simd reduction(min : nearest)
    for (int i = from; i < from + GROUP; i++) {
        distances[i] = distance_of<SHAPE>(g, lane_at(cell, b.x[i], b.y[i], b.z[i]));
        nearest = std::min(nearest, distances[i]);
    }
    return nearest < g.reach;
}

// Distances become squared lattice factors.
template <class T, Shape SHAPE> OUTLINE void find_gaussians(const Grain &g, double *values, int from, int to) {
#pragma omp simd
    for (int i = from; i < to; i++) values[i] = squared_at<T, SHAPE>(g, values[i]);
}

// All orientations of one wave.
template <class T, Shape SHAPE>
void sweep_slopes(const Setup &s, const Wanted &wanted, Block &b, Slopes &t, const Rows &rows) {
    constexpr bool TAILS = SHAPE == SQUARE || SHAPE == ROUND;
    std::fill_n(t.bare, b.lanes, 0.0);
    for (double *y : t.y) std::fill_n(y, b.lanes, 0.0);
    for (int64_t place = 0; place < s.grain_count; place++) {
        const Grain &g = s.grains[place];
        const GrainWanted &w = wanted.grains[place];
        const Rows own = {rows[int(SHARED_ROWS + CRYSTAL_ROWS * w.crystal)]};
        int64_t number = 0;
        for_orientations(s, g, 0, false, [&](const double *cell, double) {
            const Turn turn = turn_of(s, g, wanted, w, cell, number++);
            // Runs of groups that are not too far from all nodes.
            for (int from = 0, to; from < b.lanes; from = to + GROUP) {
                for (to = TAILS ? b.lanes : from; to < b.lanes; to += GROUP) {
                    if (!find_near<SHAPE>(g, cell, b, t.gaussian, to)) break;
                }
                if (to == from) continue;
                if (!TAILS) find_gaussians<T, SHAPE>(g, t.gaussian, from, to);
                add_slopes<T, SHAPE>(s, g, w, wanted.parts, cell, b, t, own, from, to);
                spread_slopes(wanted, w, turn, b, t, own, from, to);
            }
        });
    }
}

using Sweep = void (*)(const Setup &, const Wanted &, Block &, Slopes &, const Rows &);

template <class T> Sweep sweep_of(int64_t shape) {
    switch (shape) {
        case SQUARE: return sweep_slopes<T, SQUARE>;
        case ROUND: return sweep_slopes<T, ROUND>;
        case GAUSS: return sweep_slopes<T, GAUSS>;
        default: return sweep_slopes<T, GAUSS_HKL>;
    }
}

// One wave: its sums, and what depends on its scattering vectors and polarisation.
void add_wave(const Setup &s, const Wanted &wanted, Sweep sweep, Block &b, Slopes &t, const Rows &rows, int64_t ray, int source) {
    Place &p = t.place;
    polarize(s, b, source);
    for (int i = 0; i < b.lanes; i++) {
        if ((b.polar[i] == 0) & (b.accepted[i] > 0)) t.settled_at[i] = ray * s.sources + source;
    }
    settle(b);
    const double *polar = s.oversample_polar ? b.factor : b.polar, *omega = s.oversample_omega ? b.omega : b.first_omega;
    const double weight = s.weights[source] * s.scale, per_metre = 1.0 / s.wavelengths[source];
    for (int i = 0; i < b.lanes; i++) {
        t.open[i] = b.accepted[i] > 0 ? weight * omega[i] : 0.0;
        t.weight[i] = t.open[i] * polar[i] * b.capture[i];
    }
    sweep(s, wanted, b, t, rows);
    for (int i = 0; i < b.lanes; i++) {
        t.photons[i] += t.weight[i] * t.bare[i];
        t.uncaptured[i] += t.open[i] * polar[i] * t.bare[i];
        t.unpolarized[i] = t.open[i] * b.capture[i] * t.bare[i];
        t.all_unpolarized[i] += t.unpolarized[i];
    }
    if (!(wanted.parts & GEOMETRY)) return;
    if (s.oversample_polar) polarize_back(s, b, p, rows, source, t.unpolarized);
    const double *incident = s.incident + 3 * source;
    for (int i = 0; i < b.lanes; i++) {
        const double y[3] = {t.y[0][i], t.y[1][i], t.y[2][i]};
        double lever[3];
        cross(incident, y, lever);
        rows[WAVELENGTH][i] -= b.x[i] * y[0] + b.y[i] * y[1] + b.z[i] * y[2];
        for (int j = 0; j < 3; j++) p.d[j][i] += y[j] * per_metre, rows[TURN + j][i] -= lever[j] * per_metre;
    }
}

// Go back to a sub-pixel that has been passed.
void return_to(const Setup &s, Block &b, Place &p, int layer, int sub) {
    aim(s, b, layer, sub, false);
    locate(s, b, layer, sub, p);
}

// What depends on the one polarisation of a pixel, at the sub-pixel of the wave that it is of; and that of the water.
void polar_back(const Setup &s, Block &b, Slopes &t, const Rows &rows, const double *wet) {
    const int subs = int(s.oversample * s.oversample);
    for (int64_t ray = 0; ray < (s.dmin > 0 ? s.layers * subs : 1); ray++) {
        for (int source = 0; source < (s.dmin > 0 ? s.sources : 1); source++) {
            const int64_t wave = ray * s.sources + source;
            bool any = false;
            for (int i = 0; i < b.lanes; i++) {
                const double due = !s.oversample_polar && t.settled_at[i] == wave ? t.all_unpolarized[i] : 0.0;
                t.dim[i] = due + (wave == 0 ? wet[i] : 0.0);
                any |= t.dim[i] != 0;
            }
            if (!any) continue;
            return_to(s, b, t.place, int(ray / subs), int(ray % subs));
            polarize_back(s, b, t.place, rows, source, t.dim);
            place_back(s, b, t.place, rows);
        }
    }
}

// The rows of a block.
void render_slopes(const Setup &s, const Wanted &wanted, Sweep sweep, Block &b, Slopes &t, const Rows &rows, int count) {
    const bool geometry = wanted.parts & GEOMETRY;
    std::fill_n(rows.data, int64_t(count) * LANES, 0.0);
    for (double *zero : {b.polar, b.absorbed, t.all_unpolarized, t.uncaptured_layer, t.omega_total}) std::fill_n(zero, b.lanes, 0.0);
    std::fill_n(t.settled_at, b.lanes, int64_t(-1));
    const int subs = int(s.oversample * s.oversample);
    for_rays(s, b, true, [&](int64_t ray, bool begins, bool ends) {
        if (ray == 0) std::copy_n(b.omega, b.lanes, b.first_omega);
        if (ray == 0 && s.background > 0) polarize(s, b, 0), std::copy_n(b.factor, b.lanes, b.isotropic);
        locate(s, b, int(ray / subs), int(ray % subs), t.place);
        for (double *zero : {t.photons, t.uncaptured}) std::fill_n(zero, b.lanes, 0.0);
        for (int source = 0; source < s.sources; source++) {
            if (scatter(s, b, source)) add_wave(s, wanted, sweep, b, t, rows, ray, source);
        }
        for (int i = 0; i < b.lanes; i++) {
            const double wet = begins && s.background > 0 ? s.background * b.isotropic[i] * b.first_omega[i] : 0.0;
            rows[PHOTONS][i] += t.photons[i];
            b.absorbed[i] += begins ? b.capture[i] : 0.0;
            t.omega_total[i] += s.oversample_omega ? 0.0 : t.photons[i];
            t.uncaptured_layer[i] += s.oversample_thick ? 0.0 : t.uncaptured[i];
            t.uncaptured[i] = (s.oversample_thick ? t.uncaptured[i] : 0.0) + wet;
        }
        if (!geometry) return;
        if (s.oversample_omega) solid_angle_back(s, b, t.place, t.photons);
        absorb_back(s, b, t.place, rows, t.uncaptured);
        place_back(s, b, t.place, rows);
        if (!ends || s.oversample_thick || !s.absorbing) return;
        return_to(s, b, t.place, int(ray / subs), 0);
        absorb_back(s, b, t.place, rows, t.uncaptured_layer);
        place_back(s, b, t.place, rows);
        std::fill_n(t.uncaptured_layer, b.lanes, 0.0);
    });
    for (int i = 0; i < b.lanes; i++) {
        t.wet[i] = s.background > 0 ? s.background * b.first_omega[i] * b.absorbed[i] : 0.0;
        rows[WATER][i] = s.background > 0 ? t.wet[i] * b.isotropic[i] : 0.0;
        rows[PHOTONS][i] += rows[WATER][i], t.omega_total[i] += rows[WATER][i];
    }
    if (!geometry) return;
    return_to(s, b, t.place, 0, 0);
    solid_angle_back(s, b, t.place, t.omega_total);
    place_back(s, b, t.place, rows);
    polar_back(s, b, t, rows, t.wet);
}

// One derivative of a block: rows times coefficients, in their order.
void combine(const double *table, const Rows &rows, int count, double *to) {
    alignas(64) double sum[LANES] = {};
    for (int row = 0; row < count; row++) {
        const double factor = table[row], *values = rows[row];
        if (factor == 0) continue;
#pragma omp simd
        for (int i = 0; i < LANES; i++) sum[i] += factor * values[i];
    }
    std::copy_n(sum, LANES, to);
}

}  // namespace

// Photons of the `n` pixels with these numbers, and their derivatives (derivatives, n): `table` (derivatives, count)
// times the rows of a pixel. Negative where the structs are not what this was compiled for, or the number of rows is not.
extern "C" __attribute__((visibility("default")))
double tilesim_gradient(const Setup *setup, const Wanted *wanted, int64_t n, const int64_t *numbers, int64_t count,
                        int64_t derivatives, const double *table, double *photons, double *found) {
    const Setup &s = *setup;
    if (s.size != int64_t(sizeof(Setup)) || wanted->size != int64_t(sizeof(Wanted) + sizeof(GrainWanted))) return -1.0;
    if ((count - SHARED_ROWS) % CRYSTAL_ROWS) return -1.0;
    static thread_local Block block;
    Taken taken(*setup);
    block.taken = &taken;
    static thread_local Slopes slopes;
    alignas(64) double one[LANES];
    std::vector<double> data(count * LANES);
    const Rows rows = {data.data()};
    const Sweep sweep = s.single ? sweep_of<float>(s.shape) : sweep_of<double>(s.shape);
    for (int64_t start = 0; start < n; start += LANES) {
        const int used = int(std::min<int64_t>(LANES, n - start));
        take_pixels(s, block, numbers + start, used, 0);
        render_slopes(s, *wanted, sweep, block, slopes, rows, int(count));
        std::copy_n(rows[PHOTONS], used, photons + start);
        for (int64_t number = 0; number < derivatives; number++) {
            combine(table + number * count, rows, int(count), one);
            std::copy_n(one, used, found + number * n + start);
        }
    }
    return 0.0;
}
