// One evaluation, from a scattering vector to the squared factors: physics/lattice.py and factors.py.
#pragma once

#include <algorithm>
#include <type_traits>

#include "numbers.h"
#include "setup.h"

// Fractions below this are as good as the node itself, and three of them can be multiplied in T.
template <class T> constexpr double NEXT_TO_NODE = sizeof(T) == 4 ? 1e-12 : 1e-30;
constexpr double ROUND_VOLUME = 0.723601254558268;
constexpr double GAUSS_WIDTH = 0.63;

struct Lane {
    double h, k, l;     // fractional Miller indices
    double h0, k0, l0;  // nearest node; an exact half goes down
    double dh, dk, dl;  // fraction
};

inline Lane lane_at(const double *cell, double x, double y, double z) {
    Lane p;
    p.h = dot(cell, x, y, z), p.k = dot(cell + 3, x, y, z), p.l = dot(cell + 6, x, y, z);
    p.h0 = std::ceil(p.h - 0.5), p.k0 = std::ceil(p.k - 0.5), p.l0 = std::ceil(p.l - 0.5);
    p.dh = p.h - p.h0, p.dk = p.k - p.k0, p.dl = p.l - p.l0;
    return p;
}

// Flat index of a node in the table, whose border holds the default.
inline int32_t entry(const Setup &s, double h, double k, double l) {
    return int32_t((h * s.rows + k) * s.length + l + s.entry);
}

inline int32_t nearest_entry(const Setup &s, const Lane &p) {
    const double h = clamp(p.h0, s.lowest[0], s.highest[0]);
    const double k = clamp(p.k0, s.lowest[1], s.highest[1]);
    const double l = clamp(p.l0, s.lowest[2], s.highest[2]);
    return entry(s, h, k, l);
}

template <class T> inline T nearest_squared(const Setup &s, const T *squares, const Lane &p) {
    return squares[nearest_entry(s, p)];
}

inline double phase(double fraction, double cells) {
    const double turns = fraction * cells;
    return turns - std::rint(turns);
}

template <class T> inline T square_lattice(const Grain &g, const Lane &p) {
    // The grating function is even, so signs may go.
    const double h = std::max(std::fabs(p.dh), NEXT_TO_NODE<T>);
    const double k = std::max(std::fabs(p.dk), NEXT_TO_NODE<T>);
    const double l = std::max(std::fabs(p.dl), NEXT_TO_NODE<T>);
    const T above = sin_pi(T(phase(h, g.cells[0]))) * sin_pi(T(phase(k, g.cells[1]))) * sin_pi(T(phase(l, g.cells[2])));
    const T below = sin_pi(T(h)) * sin_pi(T(k)) * sin_pi(T(l));
    return square(above / below);
}

// In float64: the difference of sine and cosine cancels at its zeros.
inline double round_lattice(const Grain &g, const Lane &p) {
    const double sum = square(p.dh * g.cells[0]) + square(p.dk * g.cells[1]) + square(p.dl * g.cells[2]);
    const double radius = std::sqrt(sum * g.fudge);
    // sin and cos of pi r change sign together from one half turn to the next; the square does not care.
    const double turn = radius - std::rint(radius), x = radius * M_PI, xx = x * x;
    // The closed form cancels near zero, too; the series is good to 1e-11 below one half.
    const double series = 1 - xx / 10 * (1 - xx / 28 * (1 - xx / 54 * (1 - xx / 88)));
    const double safe = x < 0.5 ? 1 : x;
    const double closed = 3 * (sin_pi(turn) - safe * cos_pi(turn)) / (safe * safe * safe);
    return square((x < 0.5 ? series : closed) * g.volume * ROUND_VOLUME);
}

// Squared distance to the node in 1/angstrom^2 times (Na Nb Nc)^2.
inline double node_distance(const Grain &g, const Lane &p) {
    const double *a = g.reciprocal, *b = a + 3, *c = a + 6;
    const double x = p.dh * a[0] + p.dk * b[0] + p.dl * c[0];
    const double y = p.dh * a[1] + p.dk * b[1] + p.dl * c[1];
    const double z = p.dh * a[2] + p.dk * b[2] + p.dl * c[2];
    return (x * x + y * y + z * z) * (g.volume * g.volume);
}

// Squared length of N times the fraction: the distance to the node in cells.
inline double cells_distance(const Grain &g, const Lane &p) {
    const double *n = g.matrix;
    const double x = dot(n, p.dh, p.dk, p.dl), y = dot(n + 3, p.dh, p.dk, p.dl), z = dot(n + 6, p.dh, p.dk, p.dl);
    return x * x + y * y + z * z;
}

// The distance from a node that a shape without tails is a function of, times its fudge factor.
template <Shape SHAPE> inline double distance_of(const Grain &g, const Lane &p) {
    return (SHAPE == GAUSS_HKL || SHAPE == TOPHAT_HKL ? cells_distance(g, p) : node_distance(g, p)) * g.fudge;
}

inline bool between(const Setup &s, int axis, double x) {
    const double minimum = s.lowest[axis] + 1, size = s.highest[axis] - s.lowest[axis] - 1;
    return !((x - minimum + 3 > size) | (x - 2 < minimum));
}

// Gaussians may be smaller than float32 can tell, all over an image.
template <class T, Shape SHAPE>
using Squared = std::conditional_t<SHAPE == GAUSS || SHAPE == GAUSS_HKL, double, T>;

// A shape without tails at such a distance; zero from `g.reach` on.
template <class T, Shape SHAPE> inline Squared<T, SHAPE> squared_at(const Grain &g, double distance) {
    if (SHAPE == TOPHAT || SHAPE == TOPHAT_HKL) return distance < g.reach ? T(square(g.volume)) : T(0);
    const double value = exponential<T>(distance * (-2.0 / GAUSS_WIDTH)) * square(g.volume);
    return distance >= g.reach ? 0.0 : value;
}

template <class T, Shape SHAPE> inline Squared<T, SHAPE> lattice_squared(const Grain &g, const Lane &p) {
    if (SHAPE == SQUARE) return square_lattice<T>(g, p);
    if (SHAPE == ROUND) return T(round_lattice(g, p));
    return squared_at<T, SHAPE>(g, distance_of<SHAPE>(g, p));
}
