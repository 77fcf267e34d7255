// Diffuse scattering of one orientation, added to the sum of every lane: physics/diffuse.py.
#pragma once

#include "orientation.h"

constexpr double FOUR_PI_SQUARED = 4 * M_PI * M_PI;

// Columns a*, b*, c* of a cell with rows a, b, c: its inverse.
inline void invert(const double *cell, double *star) {
    const double *a = cell, *b = a + 3, *c = a + 6;
    const double x = b[1] * c[2] - b[2] * c[1], y = b[2] * c[0] - b[0] * c[2], z = b[0] * c[1] - b[1] * c[0];
    const double volume = dot(a, x, y, z);
    star[0] = x / volume, star[3] = y / volume, star[6] = z / volume;
    star[1] = (c[1] * a[2] - c[2] * a[1]) / volume, star[2] = (a[1] * b[2] - a[2] * b[1]) / volume;
    star[4] = (c[2] * a[0] - c[0] * a[2]) / volume, star[5] = (a[2] * b[0] - a[0] * b[2]) / volume;
    star[7] = (c[0] * a[1] - c[1] * a[0]) / volume, star[8] = (a[0] * b[1] - a[1] * b[0]) / volume;
}

// Squared length of a vector given by its indices, each axis times a length.
inline double length_squared(const double *m, const double *lengths, double h, double k, double l) {
    const double x = dot(m, h, k, l) * lengths[0], y = dot(m + 3, h, k, l) * lengths[1];
    return square(x) + square(y) + square(dot(m + 6, h, k, l) * lengths[2]);
}

// One rotation, for some lanes.
template <class T>
inline void add_rotation(const Setup &s, const Grain &g, const double *cell, const double *m, Block &b, int from) {
    alignas(64) double strength[GROUP], amplitude[GROUP];
    const T *squares = squares_of<T>(s, b);
#pragma omp simd
    for (int i = 0; i < GROUP; i++) {
        const Lane p = lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]);
        const double exponent = FOUR_PI_SQUARED * length_squared(m, g.sigma, p.h0, p.k0, p.l0);
        strength[i] = exponent * exponential<double>(-exponent) * g.diffuse_height;
    }
    const int n = int(g.stencil);
    for (int h = -n; h <= n; h++) {
        for (int k = -n; k <= n; k++) {
            for (int l = -n; l <= n; l++) {
                const auto node = [&](int i) {
                    Lane p = lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]);
                    p.h0 += h, p.k0 += k, p.l0 += l;
                    return p;
                };
                for (int i = 0; s.parts_mixed && i < GROUP; i++) {
                    amplitude[i] = square(mixed_amplitude<T>(s, b, nearest_entry(s, node(i))));
                }
#pragma omp simd
                for (int i = 0; i < GROUP; i++) {
                    const Lane p = node(i);
                    const double fall = 1 + FOUR_PI_SQUARED * length_squared(m, g.gamma, p.dh - h, p.dk - k, p.dl - l);
                    const double squared = s.parts_mixed ? amplitude[i] : double(nearest_squared<T>(s, squares, p));
                    b.sum[from + i] += squared * strength[i] / square(fall);
                }
            }
        }
    }
}

template <class T> void add_diffuse(const Setup &s, const Grain &g, const double *cell, Block &b) {
    double own[9];
    if (!g.star) invert(cell, own);
    const double *star = g.star ? g.star : own;
    for (int64_t rotation = 0; rotation < g.rotation_count; rotation++) {
        const double *turn = g.rotations + 9 * rotation;
        double m[9];
        for (int row = 0; row < 9; row += 3) {
            for (int column = 0; column < 3; column++) {
                m[row + column] = dot(star + row, turn[column], turn[3 + column], turn[6 + column]);
            }
        }
        for (int from = 0; from < b.lanes; from += GROUP) add_rotation<T>(s, g, cell, m, b, from);
    }
}
