// Derivatives with structure factors: as a product with the derivatives of a function with every pixel, and with f' and
// f'' of elements.
//
// The loops are those of the image. What one evaluation adds to a pixel is F^2 times a term, and with the term its
// derivatives are known: they go to the entries of the table that F comes from, or to rows of the pixel.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "entries.h"
#include "loops.h"

namespace {

struct Terms {
    alignas(64) double weight[LANES];  // of a wave: all factors but F^2, the shape of the crystal and that of the grain
    alignas(64) double due[LANES];     // of a pixel
    alignas(64) double term[LANES];    // of one evaluation: all factors but F^2
    alignas(64) int64_t at[LANES];     // nearest entry of one evaluation
};

// Takes the cell vectors of an orientation and the lanes, from one to before another, whose terms are found.
using Visit = std::function<void(const double *, int, int)>;

// All orientations of one wave.
template <class T, Shape SHAPE> void sweep_terms(const Setup &s, const Block &b, Terms &t, const Visit &visit) {
    constexpr bool TAILS = SHAPE == SQUARE || SHAPE == ROUND;
    for (int64_t place = 0; place < s.grain_count; place++) {
        const Grain &g = s.grains[place];
        for_orientations(s, g, 0, false, [&](const double *cell, double) {
            for (int from = 0; from < b.lanes; from += GROUP) {
                double nearest = INFINITY;
#pragma omp simd reduction(min : nearest)
                for (int i = from; i < from + GROUP; i++) {
                    if (!TAILS) nearest = std::min(nearest, distance_of<SHAPE>(g, lane_at(cell, b.x[i], b.y[i], b.z[i])));
                }
                if (!TAILS && !(nearest < g.reach)) continue;
#pragma omp simd
                for (int i = from; i < from + GROUP; i++) {
                    const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
                    t.at[i] = nearest_entry(s, p);
                    t.term[i] = double(lattice_squared<T, SHAPE>(g, p)) * g.weight * t.weight[i];
                }
                visit(cell, from, from + GROUP);
            }
        });
    }
}

using Sweep = void (*)(const Setup &, const Block &, Terms &, const Visit &);

template <class T> Sweep sweep_of(int64_t shape) {
    switch (shape) {
        case SQUARE: return sweep_terms<T, SQUARE>;
        case ROUND: return sweep_terms<T, ROUND>;
        case GAUSS: return sweep_terms<T, GAUSS>;
        default: return sweep_terms<T, GAUSS_HKL>;
    }
}

// All waves of a block, as the image is summed.
void render_terms(const Setup &s, Block &b, Terms &t, const Visit &visit) {
    const Sweep sweep = s.single ? sweep_of<float>(s.shape) : sweep_of<double>(s.shape);
    std::fill_n(b.polar, b.lanes, 0.0);
    for_rays(s, b, true, [&](int64_t ray, bool, bool) {
        if (ray == 0) std::copy_n(b.omega, b.lanes, b.first_omega);
        for (int source = 0; source < s.sources; source++) {
            if (!scatter(s, b, source)) continue;
            polarize(s, b, source);
            settle(b);
            const double *polar = s.oversample_polar ? b.factor : b.polar, *omega = s.oversample_omega ? b.omega : b.first_omega;
            const double weight = s.weights[source] * s.scale;
            for (int i = 0; i < b.lanes; i++) {
                t.weight[i] = b.accepted[i] > 0 ? t.due[i] * weight * omega[i] * polar[i] * b.capture[i] : 0.0;
            }
            sweep(s, b, t, visit);
        }
    });
}

// The 64 entries of which a tricubic amplitude is made, and their weights; false where some are not in the table.
inline bool neighbours(const Setup &s, const Lane &p, int64_t *entries, double *weights) {
    const double at[3] = {p.h, p.k, p.l};
    double corner[3], on[3][4][GROUP];
    for (int axis = 0; axis < 3; axis++) {
        if (!between(s, axis, at[axis])) return false;
        corner[axis] = clamp(std::floor(at[axis]), s.lowest[axis] + 2, s.highest[axis] - 3);
        lagrange(at[axis] - corner[axis], on[axis], 0);
    }
    const int64_t length = int64_t(s.length), plane = int64_t(s.rows) * length;
    const int64_t first = entry(s, corner[0] - 1, corner[1] - 1, corner[2] - 1);
    for (int n = 0; n < 64; n++) {
        const int h = n / 16, k = n / 4 % 4, l = n % 4;
        entries[n] = first + h * plane + k * length + l;
        weights[n] = on[0][h][0] * on[1][k][0] * on[2][l][0];
    }
    return true;
}

// Complex amplitudes of mixed parts.
struct Mixture {
    int64_t channels, count;  // of parts
    const double *parts;      // (entry, part, 2)
    const double *factors;    // (channel, part, 2)

    // Amplitude of an entry, whose real and imaginary part are half the slopes of its square with these.
    void mixed(int64_t channel, int64_t entry, double &real, double &imaginary) const {
        const double *part = parts + 2 * count * entry, *factor = factors + 2 * count * channel;
        real = imaginary = 0;
        for (int64_t n = 0; n < 2 * count; n += 2) {
            real += factor[n] * part[n] - factor[n + 1] * part[n + 1];
            imaginary += factor[n] * part[n + 1] + factor[n + 1] * part[n];
        }
    }
};

// Add the slopes of |F|^2 / 2, or of |F|, with f' and f'' of all elements: (element, 2).
inline void add_mixed(const Mixture &m, int64_t entry, double real, double imaginary, double factor, double *to) {
    for (int64_t n = 1; n < m.count; n++) {
        const double *part = m.parts + 2 * (m.count * entry + n);
        to[2 * n - 2] += factor * (real * part[0] + imaginary * part[1]);
        to[2 * n - 1] += factor * (imaginary * part[0] - real * part[1]);
    }
}

// The slopes of the squared amplitude of one lane.
inline void mixed_slopes(const Setup &s, const Mixture &m, int64_t channel, const Lane &p, int64_t nearest, double *to) {
    std::fill_n(to, 2 * m.count - 2, 0.0);
    int64_t entries[64];
    double weights[64], real, imaginary, sum = 0;
    if (!s.interpolate || !neighbours(s, p, entries, weights)) {
        m.mixed(channel, nearest, real, imaginary);
        return add_mixed(m, nearest, real, imaginary, 2.0, to);
    }
    for (int n = 0; n < 64; n++) {
        m.mixed(channel, entries[n], real, imaginary);
        const double amplitude = length_of(real, imaginary, 0);
        sum += weights[n] * amplitude;
        if (amplitude > 0) add_mixed(m, entries[n], real, imaginary, weights[n] / amplitude, to);
    }
    for (int64_t n = 0; n < 2 * m.count - 2; n++) to[n] *= 2 * sum;
}

template <class Each> void for_blocks(const Setup &s, int64_t n, const int64_t *numbers, Block &b, Each each) {
    for (int64_t start = 0; start < n; start += LANES) {
        const int used = int(std::min<int64_t>(LANES, n - start));
        take_pixels(s, b, numbers + start, used, 0);
        each(start, used);
    }
}

#define EXPORT extern "C" __attribute__((visibility("default")))

}  // namespace

EXPORT void *tilesim_entries_new() { return new Entries(); }

EXPORT void tilesim_entries_free(void *entries) { delete static_cast<Entries *>(entries); }

EXPORT int64_t tilesim_entries_count(const void *entries) { return static_cast<const Entries *>(entries)->count(); }

// Numbers of the entries, rising, and their sums.
EXPORT void tilesim_entries_take(const void *entries, int64_t *numbers, double *sums) {
    static_cast<const Entries *>(entries)->take(numbers, sums);
}

// Add up what `n` pixels, each times its `slope`, have for derivatives with the entries of the table. Negative where the
// struct is not what this was compiled for.
EXPORT int64_t tilesim_entries_add(void *to, const Setup *setup, int64_t n, const int64_t *numbers, const double *slopes) {
    const Setup &s = *setup;
    if (s.size != int64_t(sizeof(Setup))) return -1;
    Block &b = begin_blocks();
    static thread_local Terms t;
    Entries &sums = *static_cast<Entries *>(to);
    // Of a lane the entry stays the same for many evaluations: it is looked up when it changes.
    alignas(64) int64_t held[LANES];
    alignas(64) double held_sum[LANES];
    const auto let_go = [&](int i) {
        if (held_sum[i] != 0) sums.add(held[i], 2 * s.values[held[i]] * held_sum[i]);
        held_sum[i] = 0;
    };
    const auto add_nearest = [&](int i) {
        if (held[i] != t.at[i]) let_go(i), held[i] = t.at[i];
        held_sum[i] += t.term[i];
    };
    for_blocks(s, n, numbers, b, [&](int64_t start, int used) {
        std::fill_n(t.due, LANES, 0.0);
        std::copy_n(slopes + start, used, t.due);
        if (std::all_of(t.due, t.due + used, [](double slope) { return slope == 0; })) return;
        std::fill_n(held, LANES, int64_t(0)), std::fill_n(held_sum, LANES, 0.0);
        render_terms(s, b, t, [&](const double *cell, int from, int last) {
            int64_t entries[64];
            double weights[64];
            for (int i = from; i < last; i++) {
                if (t.term[i] == 0) continue;
                if (!s.interpolate || !neighbours(s, lane_at(cell, b.x[i], b.y[i], b.z[i]), entries, weights)) {
                    add_nearest(i);
                    continue;
                }
                double amplitude = 0;
                for (int n = 0; n < 64; n++) amplitude += weights[n] * s.values[entries[n]];
                for (int n = 0; n < 64; n++) sums.add(entries[n], 2 * amplitude * t.term[i] * weights[n]);
            }
        });
        for (int i = 0; i < used; i++) let_go(i);
    });
    return 0;
}

// Derivatives (element, 2, channel, n) of `n` pixels with f' and f'' of every element in every channel. Negative as above.
EXPORT int64_t tilesim_anomalous(const Setup *setup, int64_t n, const int64_t *numbers, int64_t channels, int64_t parts,
                                 const double *table, const double *factors, double *found) {
    const Setup &s = *setup;
    if (s.size != int64_t(sizeof(Setup))) return -1;
    Block &b = begin_blocks();
    static thread_local Terms t;
    const Mixture mixture = {channels, parts, table, factors};
    const int64_t rows = 2 * parts - 2;
    std::vector<double> slopes(rows);
    std::fill_n(found, rows * channels * n, 0.0);
    for_blocks(s, n, numbers, b, [&](int64_t start, int used) {
        std::fill_n(t.due, LANES, 1.0);
        render_terms(s, b, t, [&](const double *cell, int from, int last) {
            for (int i = from; i < std::min(last, used); i++) {
                if (t.term[i] == 0) continue;
                mixed_slopes(s, mixture, b.channel, lane_at(cell, b.x[i], b.y[i], b.z[i]), t.at[i], slopes.data());
                for (int64_t row = 0; row < rows; row++) {
                    found[(row * channels + b.channel) * n + start + i] += t.term[i] * slopes[row];
                }
            }
        });
    });
    return 0;
}
