// A block of pixels, and the innermost loop: one orientation added to the sum of each of them.
#pragma once

#include <vector>

#include "lattice.h"

constexpr int LANES = 128;  // of a block
constexpr int SIDE = 8;     // lanes of one vector in float64
constexpr int GROUP = 16;   // blocks are padded to a multiple: no lane is left to a loop's scalar tail

typedef double Lanes __attribute__((vector_size(8 * SIDE), may_alias));

// Parts of the amplitudes of the nodes nearest to the lanes of a block, kept from one wave to the next: waves of nearly
// one length have the same nodes, and gathering costs more than mixing.
struct Taken {
    alignas(64) int64_t at[LANES];  // where in the table they were taken
    std::vector<float> singles;     // (part, real or imaginary, lane), of the type of the table
    std::vector<double> doubles;

    explicit Taken(const Setup &s) {
        std::fill_n(at, LANES, -1);
        s.single ? singles.resize(2 * s.parts_mixed * LANES) : doubles.resize(2 * s.parts_mixed * LANES);
    }
};

template <class T> T *parts_of(Taken &taken);
template <> inline float *parts_of(Taken &taken) { return taken.singles.data(); }
template <> inline double *parts_of(Taken &taken) { return taken.doubles.data(); }

struct alignas(64) Block {  // every array begins at a whole cache line
    double number[LANES], slow[LANES], fast[LANES];
    double x[LANES], y[LANES], z[LANES];            // scattering vector of the wave, 1/m
    double sum[LANES], amplitude[LANES];            // over the orientations of a grain; squared
    double weighted[LANES];                         // over the grains of the wave
    double d[3][LANES];                             // unit vector to the sub-pixel
    double omega[LANES], capture[LANES], polar[LANES], factor[LANES];
    double accepted[LANES], visited[LANES];         // one, or zero where dmin rejects the wave
    double total[LANES], isotropic[LANES], absorbed[LANES], omega_sum[LANES];
    double first_omega[LANES];
    double interpolated[LANES];                     // so many first evaluations may be interpolated
    int64_t channel;                                // of the wave, by which its structure factors are found
    Taken *taken;                                   // of the frame
    int lanes;                                      // in use, padded to whole groups
};

// The least squared length of the scattering vectors of a block.
inline double least_squared(const Block &b) {
    double least = INFINITY;
#pragma omp simd reduction(min : least)
    for (int i = 0; i < b.lanes; i++) least = std::min(least, square(b.x[i]) + square(b.y[i]) + square(b.z[i]));
    return least;
}

// Whether a grain has nothing but zeros for a block: all scattering vectors are beyond all of its structure factors.
inline bool is_dark(const Grain &g, const Block &b) {
    const double first = square(b.x[0]) + square(b.y[0]) + square(b.z[0]);
    return first >= g.outermost && g.outermost < INFINITY && least_squared(b) >= g.outermost;
}

// Four-point Lagrange weights of the nodes -1, 0, 1, 2 at x, for lane i.
inline void lagrange(double x, double weights[4][GROUP], int i) {
    const double below = x + 1, above = x - 1, far = x - 2;
    weights[0][i] = -x * above * far * (1.0 / 6), weights[1][i] = below * above * far / 2;
    weights[2][i] = -below * x * far / 2, weights[3][i] = below * x * above * (1.0 / 6);
}

template <class T> inline const T *squares_of(const Setup &s, const Block &b) {
    return static_cast<const T *>(s.squares) + b.channel * s.entries;
}

// Squared amplitudes |sum of factor x part|^2 of the nodes nearest to some lanes, where they follow the photon energy.
template <class T> void mix(const Setup &s, const double *cell, Block &b, int from) {
    alignas(64) T real[GROUP], imaginary[GROUP];
    const int64_t stride = 2 * s.parts_mixed;
    const double *factor = s.mixture + b.channel * stride;
    int64_t *at = b.taken->at + from, moved = 0;
    T *taken = parts_of<T>(*b.taken) + from;
#pragma omp simd reduction(| : moved)
    for (int i = 0; i < GROUP; i++) {
        const int64_t here = stride * nearest_entry(s, lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]));
        moved |= at[i] ^ here;
        at[i] = here;
        real[i] = 0, imaginary[i] = 0;
    }
    for (int64_t n = 0; moved && n < stride; n++) {
        const T *part = static_cast<const T *>(s.parts) + n;
#pragma omp simd
        for (int i = 0; i < GROUP; i++) taken[n * LANES + i] = part[at[i]];
    }
    for (int64_t n = 0; n < stride; n += 2) {
        const T c = T(factor[n]), d = T(factor[n + 1]), *x = taken + n * LANES, *y = x + LANES;
#pragma omp simd
        for (int i = 0; i < GROUP; i++) real[i] += c * x[i] - d * y[i], imaginary[i] += c * y[i] + d * x[i];
    }
#pragma omp simd
    for (int i = 0; i < GROUP; i++) b.amplitude[from + i] = double(square(real[i]) + square(imaginary[i]));
}

// The mixed amplitude of one entry.
template <class T> double mixed_amplitude(const Setup &s, const Block &b, int64_t entry) {
    const int64_t stride = 2 * s.parts_mixed;
    const double *factor = s.mixture + b.channel * stride;
    const T *part = static_cast<const T *>(s.parts) + entry * stride;
    T real = 0, imaginary = 0;
    for (int64_t n = 0; n < stride; n += 2) {
        const T c = T(factor[n]), d = T(factor[n + 1]);
        real += c * part[n] - d * part[n + 1], imaginary += c * part[n + 1] + d * part[n];
    }
    return std::sqrt(double(square(real) + square(imaginary)));
}

// Lanes side by side share most of their neighbours: call `visit` with every first of 64 among a group, with the first of
// SIDE lanes that it is to be summed for all at once, and which of them want it, as bits.
template <class Visit> inline void for_neighbours(const int32_t *first, const int32_t *inside, Visit visit) {
    for (int from = 0; from < GROUP; from += SIDE) {
        for (int lane = from, done = 0; lane < from + SIDE; lane++) {
            if (done >> lane & 1 || !inside[lane]) continue;
            int wanting = 0;
            for (int other = lane; other < from + SIDE; other++) {
                wanting |= int(first[other] == first[lane] && inside[other]) << other;
            }
            visit(first[lane], from, wanting);
            done |= wanting;
        }
    }
}

// Amplitudes of four neighbours along l, from the row's first on: where they are, or mixed into `room`.
template <class T>
inline const double *row_of(const Setup &s, const Block &b, int64_t first, double *room) {
    if (!s.parts_mixed) return s.values + b.channel * s.entries + first;
    for (int l = 0; l < 4; l++) room[l] = mixed_amplitude<T>(s, b, first + l);
    return room;
}

inline const Lanes &lanes_from(const double *values) { return *reinterpret_cast<const Lanes *>(values); }

// Squared amplitudes of the nodes nearest to some lanes.
template <class T> void find_nearest(const Setup &s, const double *cell, Block &b, int from) {
    if (s.parts_mixed) return mix<T>(s, cell, b, from);
    const T *squares = squares_of<T>(s, b);
#pragma omp simd
    for (int i = from; i < from + GROUP; i++) {
        b.amplitude[i] = double(nearest_squared<T>(s, squares, lane_at(cell, b.x[i], b.y[i], b.z[i])));
    }
}

// Squared amplitudes at evaluation `number` of a pixel, by tricubic interpolation where that is allowed and possible.
template <class T> void interpolate(const Setup &s, const double *cell, double number, Block &b, int from) {
    alignas(64) double on_h[4][GROUP], on_k[4][GROUP], on_l[4][GROUP];
    alignas(64) int32_t first[GROUP], inside[GROUP];
    int all = 1;
#pragma omp simd reduction(& : all)
    for (int i = 0; i < GROUP; i++) {
        const Lane p = lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]);
        const double h = clamp(std::floor(p.h), s.lowest[0] + 2, s.highest[0] - 3);
        const double k = clamp(std::floor(p.k), s.lowest[1] + 2, s.highest[1] - 3);
        const double l = clamp(std::floor(p.l), s.lowest[2] + 2, s.highest[2] - 3);
        lagrange(p.h - h, on_h, i), lagrange(p.k - k, on_k, i), lagrange(p.l - l, on_l, i);
        first[i] = entry(s, h - 1, k - 1, l - 1);
        inside[i] = (number < b.interpolated[from + i]) & between(s, 0, p.h) & between(s, 1, p.k) & between(s, 2, p.l);
        all &= inside[i];
    }
    if (!all) find_nearest<T>(s, cell, b, from);
    const int64_t length = int64_t(s.length), plane = int64_t(s.rows) * length;
    for_neighbours(first, inside, [&](int64_t node, int side, int wanting) {
        const Lanes far = lanes_from(on_l[0] + side), near = lanes_from(on_l[1] + side);
        const Lanes next = lanes_from(on_l[2] + side), beyond = lanes_from(on_l[3] + side);
        Lanes sum = {};
        for (int h = 0; h < 4; h++) {
            Lanes sheet = {};
            for (int k = 0; k < 4; k++) {
                double room[4];
                const double *row = row_of<T>(s, b, node + h * plane + k * length, room);
                sheet += lanes_from(on_k[k] + side) * (far * row[0] + near * row[1] + next * row[2] + beyond * row[3]);
            }
            sum += lanes_from(on_h[h] + side) * sheet;
        }
        for (int i = 0; i < SIDE; i++) {
            if (wanting >> (side + i) & 1) b.amplitude[from + side + i] = square(sum[i]);
        }
    });
}

// Add one orientation to the sums of some lanes: the innermost loop.
template <class T, Shape SHAPE>
inline void add_lanes(const Setup &s, const Grain &g, const double *cell, double number, Block &b, int from, int to) {
    if (s.interpolate || s.parts_mixed) {
        for (int i = from; i < to; i += GROUP) {
            s.interpolate ? interpolate<T>(s, cell, number, b, i) : mix<T>(s, cell, b, i);
        }
#pragma omp simd
        for (int i = from; i < to; i++) {
            const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
            b.sum[i] += double(T(b.amplitude[i]) * lattice_squared<T, SHAPE>(g, p));
        }
        return;
    }
    const T *squares = squares_of<T>(s, b);
#pragma omp simd
    for (int i = from; i < to; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        b.sum[i] += double(nearest_squared<T>(s, squares, p) * lattice_squared<T, SHAPE>(g, p));
    }
}

// The same for the groups that a shape without tails reaches: all others are so far from all nodes that they get zeros.
template <class T, Shape SHAPE>
void add_near(const Setup &s, const Grain &g, const double *cell, double number, Block &b) {
    alignas(64) double distance[GROUP];
    alignas(64) double h0[GROUP], k0[GROUP], l0[GROUP];
    const bool found = s.interpolate || s.parts_mixed;
    const T *squares = squares_of<T>(s, b);
    for (int from = 0; from < b.lanes; from += GROUP) {
        double nearest = INFINITY;
#pragma omp simd reduction(min : nearest)
        for (int i = 0; i < GROUP; i++) {
            const Lane p = lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]);
            h0[i] = p.h0, k0[i] = p.k0, l0[i] = p.l0;
            distance[i] = distance_of<SHAPE>(g, p);
            nearest = std::min(nearest, distance[i]);
        }
        if (s.skip && !(nearest < g.reach)) continue;
        if (found) {
            s.interpolate ? interpolate<T>(s, cell, number, b, from) : mix<T>(s, cell, b, from);
#pragma omp simd
            for (int i = 0; i < GROUP; i++) {
                b.sum[from + i] += double(T(b.amplitude[from + i]) * squared_at<T, SHAPE>(g, distance[i]));
            }
            continue;
        }
#pragma omp simd
        for (int i = 0; i < GROUP; i++) {
            const Lane p = {0, 0, 0, h0[i], k0[i], l0[i], 0, 0, 0};
            b.sum[from + i] += double(nearest_squared<T>(s, squares, p) * squared_at<T, SHAPE>(g, distance[i]));
        }
    }
}

// The same for all lanes.
template <class T, Shape SHAPE>
void add_orientation(const Setup &s, const Grain &g, const double *cell, double number, Block &b) {
    constexpr bool TAILS = SHAPE == SQUARE || SHAPE == ROUND;
    TAILS ? add_lanes<T, SHAPE>(s, g, cell, number, b, 0, b.lanes) : add_near<T, SHAPE>(s, g, cell, number, b);
}

// Strict only: one where the reference goes on to the structure factor, zero where it leaves the sum alone.
template <class T, Shape SHAPE> void find_visited(const Setup &s, const Grain &g, const double *cell, Block &b) {
    const bool all = SHAPE == SQUARE || SHAPE == ROUND || s.background != 0;
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        b.visited[i] = all || lattice_squared<T, SHAPE>(g, p) != 0 ? b.accepted[i] : 0.0;
    }
}

// The two loops that depend on the shape of the crystal and on the precision.
struct Kernel {
    void (*add_orientation)(const Setup &, const Grain &, const double *, double, Block &);
    void (*find_visited)(const Setup &, const Grain &, const double *, Block &);
};

template <class T> Kernel kernel_of(int64_t shape) {
    switch (shape) {
        case SQUARE: return {add_orientation<T, SQUARE>, find_visited<T, SQUARE>};
        case ROUND: return {add_orientation<T, ROUND>, find_visited<T, ROUND>};
        case GAUSS: return {add_orientation<T, GAUSS>, find_visited<T, GAUSS>};
        case TOPHAT: return {add_orientation<T, TOPHAT>, find_visited<T, TOPHAT>};
        case GAUSS_HKL: return {add_orientation<T, GAUSS_HKL>, find_visited<T, GAUSS_HKL>};
        default: return {add_orientation<T, TOPHAT_HKL>, find_visited<T, TOPHAT_HKL>};
    }
}
