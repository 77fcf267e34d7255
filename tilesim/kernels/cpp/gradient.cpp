// The sum over a pixel with all that its derivatives are made of, in one pass: what `fused.cpp` sums, and beside it.
//
// The loops are those of the image. Every wave adds to the rows of a pixel (sweep.h); from direction and length of the way
// to a sub-pixel they go back to the panel (adjoint.h); derivatives are rows times coefficients (contract.h).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "contract.h"
#include "sweep.h"

namespace {

// One wave: its sums, and what depends on its scattering vectors and polarisation.
void add_wave(const Setup &s, const Wanted &wanted, Sweep sweep, Block &b, Slopes &t, const Rows &rows, int64_t ray,
              int source) {
    Place &p = t.place;
    polarize(s, b, source);
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const bool settles = (b.polar[i] == 0) & (b.accepted[i] > 0);
        t.settled_at[i] = settles ? double(ray * s.sources + source) : t.settled_at[i];
    }
    settle(b);
    const double *polar = s.oversample_polar ? b.factor : b.polar, *omega = s.oversample_omega ? b.omega : b.first_omega;
    const double weight = s.weights[source] * s.scale, per_metre = 1.0 / s.wavelengths[source];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        t.open[i] = b.accepted[i] > 0 ? weight * omega[i] : 0.0;
        t.weight[i] = t.open[i] * polar[i] * b.capture[i];
    }
    sweep(s, wanted, b, t, rows);
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        t.photons[i] += t.weight[i] * t.bare[i];
        t.uncaptured[i] += t.open[i] * polar[i] * t.bare[i];
        t.unpolarized[i] = t.open[i] * b.capture[i] * t.bare[i];
        t.all_unpolarized[i] += t.unpolarized[i];
    }
    if (wanted.parts & GEOMETRY && s.oversample_polar) polarize_back(s, b, p, rows, source, t.unpolarized);
    if (!(wanted.parts & VECTORS)) return;
    const double *incident = s.incident + 3 * source;
    double *wavelength = rows[WAVELENGTH], *turn = rows[TURN];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double x = t.y[0][i], y = t.y[1][i], z = t.y[2][i];
        wavelength[i] -= b.x[i] * x + b.y[i] * y + b.z[i] * z;
        p.d[0][i] += x * per_metre, p.d[1][i] += y * per_metre, p.d[2][i] += z * per_metre;
        turn[i] -= (incident[1] * z - incident[2] * y) * per_metre;
        turn[LANES + i] -= (incident[2] * x - incident[0] * z) * per_metre;
        turn[2 * LANES + i] -= (incident[0] * y - incident[1] * x) * per_metre;
    }
}

// Go from one sub-pixel, with all that has come to depend on it, back to another that has been passed.
void return_to(const Setup &s, Block &b, Place &p, const Rows &rows, int layer, int sub) {
    if (p.layer == layer && p.sub == sub) return;
    place_back(s, b, p, rows);
    aim(s, b, layer, sub, false);
    locate(s, b, layer, sub, p);
}

// What depends on the one polarisation of a pixel, at the sub-pixel of the wave that it is of; and that of the water.
void polar_back(const Setup &s, Block &b, Slopes &t, const Rows &rows, const double *wet) {
    const int subs = int(s.oversample * s.oversample);
    const bool several = s.polarizations > 1;  // those of sources: that of the water is their mean
    for (int64_t ray = 0; ray < (s.dmin > 0 ? s.layers * subs : 1); ray++) {
        for (int source = 0; source < (s.dmin > 0 || several ? s.sources : 1); source++) {
            const int64_t wave = ray * s.sources + source;
            const double share = ray ? 0.0 : several ? s.weights[source] / double(s.sources) : source == 0 ? 1.0 : 0.0;
            bool any = false;
            for (int i = 0; i < b.lanes; i++) {
                const double due = !s.oversample_polar && t.settled_at[i] == double(wave) ? t.all_unpolarized[i] : 0.0;
                t.dim[i] = due + share * wet[i];
                any |= t.dim[i] != 0;
            }
            if (!any) continue;
            return_to(s, b, t.place, rows, int(ray / subs), int(ray % subs));
            polarize_back(s, b, t.place, rows, source, t.dim);
        }
    }
}

// Begin the sums of what is asked for: other rows are not read.
void clear(const Setup &s, int64_t parts, const Rows &rows, int count) {
    const auto zero = [&](int from, int to) { std::fill_n(rows[from], int64_t(to - from) * LANES, 0.0); };
    zero(0, parts & GEOMETRY ? (s.curved ? SHARED_ROWS : RADIUS) : ORIGIN);
    for (int own = SHARED_ROWS; own + CRYSTAL_ROWS <= count; own += CRYSTAL_ROWS) {
        zero(own, own + IN_CELL);
        if (parts & CELL) zero(own + IN_CELL, own + IN_SIZE);
        if (parts & SIZE) zero(own + IN_SIZE, own + START);
        if (parts & SPINDLE) zero(own + START, own + ANGLES);
        if (parts & SPREAD) zero(own + ANGLES, own + CRYSTAL_ROWS);
    }
}

// The rows of a block.
void render_slopes(const Setup &s, const Wanted &wanted, Sweep sweep, Block &b, Slopes &t, const Rows &rows, int count) {
    const bool geometry = wanted.parts & GEOMETRY;
    clear(s, wanted.parts, rows, count);
    double *const begun[] = {b.polar, b.absorbed, b.isotropic, t.all_unpolarized, t.uncaptured_layer, t.omega_total};
    for (double *zero : begun) std::fill_n(zero, b.lanes, 0.0);
    std::fill_n(t.settled_at, b.lanes, -1.0);
    const int subs = int(s.oversample * s.oversample);
    const int64_t last = s.layers * subs - 1;
    for_rays(s, b, true, [&](int64_t ray, bool begins, bool ends) {
        const int layer = int(ray / subs);
        if (ray == 0) std::copy_n(b.omega, b.lanes, b.first_omega);
        if (ray == 0 && s.background > 0) polarize_water(s, b);
        if (geometry) locate(s, b, layer, int(ray % subs), t.place);
        for (double *zero : {t.photons, t.uncaptured}) std::fill_n(zero, b.lanes, 0.0);
        for (int source = 0; source < s.sources; source++) {
            if (scatter(s, b, source)) add_wave(s, wanted, sweep, b, t, rows, ray, source);
        }
        double *photons = rows[PHOTONS];
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) {
            const double wet = begins && s.background > 0 ? s.background * b.isotropic[i] * b.first_omega[i] : 0.0;
            photons[i] += t.photons[i];
            b.absorbed[i] += begins ? b.capture[i] : 0.0;
            t.omega_total[i] += s.oversample_omega ? 0.0 : t.photons[i];
            t.uncaptured_layer[i] += s.oversample_thick ? 0.0 : t.uncaptured[i];
            t.uncaptured[i] = (s.oversample_thick ? t.uncaptured[i] : 0.0) + wet;
        }
        if (!geometry) return;
        if (s.oversample_omega) solid_angle_back(s, b, t.place, t.photons);
        absorb_back(s, b, t.place, rows, t.uncaptured);
        if (ends && !s.oversample_thick && s.absorbing) {
            return_to(s, b, t.place, rows, layer, 0);
            absorb_back(s, b, t.place, rows, t.uncaptured_layer);
            std::fill_n(t.uncaptured_layer, b.lanes, 0.0);
        }
        // The last one is left when all that belongs to the whole pixel has been added: with one ray it is the only one.
        if (ray < last) place_back(s, b, t.place, rows);
    });
    double *photons = rows[PHOTONS], *water = rows[WATER];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        t.wet[i] = s.background > 0 ? s.background * b.first_omega[i] * b.absorbed[i] : 0.0;
        water[i] = s.background > 0 ? t.wet[i] * b.isotropic[i] : 0.0;
        photons[i] += water[i], t.omega_total[i] += water[i];
    }
    if (!geometry) return;
    return_to(s, b, t.place, rows, 0, 0);
    solid_angle_back(s, b, t.place, t.omega_total);
    polar_back(s, b, t, rows, t.wet);
    if (wanted.parts & PANEL) place_back(s, b, t.place, rows);
    if (wanted.amorphous) amorphous_back(s, *wanted.amorphous, b, t.place, rows);
}

// Some pixels with these numbers, and how their derivatives are made of their rows, `count` for each, of which the last is the
// photons of the amorphous background (null: none).
struct Pixels {
    int64_t n;
    const int64_t *numbers;
    int64_t count, derivatives;
    const double *table, *background;
};

// Call `visit` with the table, the rows of every block, its first pixel and how many it has.
// Negative where the structs are not what this was compiled for, or the number of rows is not.
template <class Visit> double for_blocks(const Setup &s, const Wanted &wanted, const Pixels &pixels, Visit visit) {
    if (s.size != int64_t(sizeof(Setup)) || wanted.size != int64_t(sizeof(Wanted) + sizeof(GrainWanted))) return -1.0;
    if ((pixels.count - 1 - SHARED_ROWS) % CRYSTAL_ROWS) return -1.0;
    static thread_local Slopes own_slopes;
    Block &block = begin_blocks();
    Slopes &slopes = own_slopes;
    Taken taken(s);
    block.taken = &taken;
    const Table table(pixels.table, pixels.derivatives, pixels.count);
    Lines lines(pixels.count);
    const Rows rows = {lines[0]};
    const Sweep sweep = s.single ? sweep_of<float>(s.shape, wanted.parts) : sweep_of<double>(s.shape, wanted.parts);
    for (int64_t start = 0; start < pixels.n; start += LANES) {
        const int used = int(std::min<int64_t>(LANES, pixels.n - start));
        take_pixels(s, block, pixels.numbers + start, used, 0);
        render_slopes(s, wanted, sweep, block, slopes, rows, int(pixels.count - 1));
        if (pixels.background) std::copy_n(pixels.background + start, used, rows[int(pixels.count - 1)]);
        visit(table, lines, start, used);
    }
    return 0.0;
}

}  // namespace

// Photons of pixels and their derivatives, which are `stride` from one to the next.
extern "C" __attribute__((visibility("default")))
double tilesim_gradient(const Setup *setup, const Wanted *wanted, int64_t n, const int64_t *numbers, int64_t count,
                        int64_t derivatives, const double *table, const double *background, double *photons, double *found,
                        int64_t stride) {
    alignas(64) double one[LANES];
    const Pixels pixels = {n, numbers, count, derivatives, table, background};
    return for_blocks(*setup, *wanted, pixels, [&](const Table &made, Lines &rows, int64_t start, int used) {
        for (int i = 0; i < used; i++) photons[start + i] = rows[PHOTONS][i] + rows[count - 1][i];
        for (int64_t number = 0; number < derivatives; number++) {
            double *to = found + number * stride + start;
            made.combine(rows, number, used == LANES ? to : one);
            if (used < LANES) std::copy_n(one, used, to);
        }
    });
}

// Sums over pixels of weighted products of every two of the derivatives, of some `others` (other_count, n) that are given
// and, last, of the residuals: `data` minus photons.
extern "C" __attribute__((visibility("default")))
double tilesim_normal(const Setup *setup, const Wanted *wanted, int64_t n, const int64_t *numbers, int64_t count,
                      int64_t derivatives, const double *table, const double *background, const double *data,
                      const double *weights, int64_t other_count, const double *others, double *sums) {
    alignas(64) double weight[LANES];
    const int64_t last = derivatives + other_count;
    Products products(last + 1);
    const Pixels pixels = {n, numbers, count, derivatives, table, background};
    const double status = for_blocks(*setup, *wanted, pixels, [&](const Table &made, Lines &rows, int64_t start, int used) {
        std::copy_n(weights + start, used, weight);
        for (int64_t number = 0; number < derivatives; number++) made.combine(rows, number, products.values[number]);
        for (int64_t number = 0; number < other_count; number++) {
            std::copy_n(others + number * n + start, used, products.values[derivatives + number]);
        }
        double *residual = products.values[last];
        for (int i = 0; i < used; i++) residual[i] = data[start + i] - (rows[PHOTONS][i] + rows[count - 1][i]);
        std::fill(weight + used, weight + LANES, 0.0);
        for (int64_t row = 0; row <= last; row++) std::fill(products.values[row] + used, products.values[row] + LANES, 0.0);
        products.add_block(weight);
    });
    products.put(sums);
    return status;
}

// The same where derivatives (count, n) and residuals are all given.
extern "C" __attribute__((visibility("default")))
void tilesim_products(int64_t n, int64_t count, const double *slopes, const double *residuals, const double *weights,
                      double *sums) {
    alignas(64) double weight[LANES];
    Products products(count + 1);
    for (int64_t start = 0; start < n; start += LANES) {
        const int used = int(std::min<int64_t>(LANES, n - start));
        const auto take = [&](const double *from, double *to) {
            std::copy_n(from + start, used, to), std::fill(to + used, to + LANES, 0.0);
        };
        take(weights, weight);
        for (int64_t number = 0; number < count; number++) take(slopes + number * n, products.values[number]);
        take(residuals, products.values[count]);
        products.add_block(weight);
    }
    products.put(sums);
}

// Sums (derivatives) over pixels of the derivatives times a cotangent (n).
extern "C" __attribute__((visibility("default")))
double tilesim_pullback(const Setup *setup, const Wanted *wanted, int64_t n, const int64_t *numbers, int64_t count,
                        int64_t derivatives, const double *table, const double *background, const double *cotangent,
                        double *sums) {
    const Table made(table, derivatives, count);
    std::vector<int64_t> in_use;
    for (int64_t row = 0; row < count; row++) {
        if (made.uses(row)) in_use.push_back(row);
    }
    std::vector<Total> totals(count);
    std::vector<double> of_rows(count);
    Lines weight(1);
    const Pixels pixels = {n, numbers, count, derivatives, table, background};
    const double status = for_blocks(*setup, *wanted, pixels, [&](const Table &, Lines &rows, int64_t start, int used) {
        std::copy_n(cotangent + start, used, weight[0]);
        std::fill(weight[0] + used, weight[0] + LANES, 0.0);
        for (int64_t row : in_use) {
            std::fill(rows[row] + used, rows[row] + LANES, 0.0);
            add_weighted(rows.vectors(row), weight.vectors(0), totals[row]);
        }
    });
    for (int64_t row : in_use) of_rows[row] = totals[row].sum();
    for (int64_t number = 0; number < derivatives; number++) sums[number] = made.of_sums(of_rows.data(), number);
    return status;
}
