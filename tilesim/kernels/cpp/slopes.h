// One evaluation with its derivatives: the squared lattice factor, its slopes with h, k, l and with the numbers of cells.
#pragma once

#include "orientation.h"

constexpr int SIZES = 6;   // Na, Nb, Nc and what an oriented N has off its diagonal: of a and b, b and c, a and c
constexpr int METRIC = 6;  // of a* with a*, b* with b*, c* with c*, then b* c*, a* c*, a* b*

template <class T> struct Evaluation {
    T value, slope[3], size[SIZES];
    double metric[METRIC];
};

// psi(y) / y with psi the logarithmic derivative of sin(y) / y, from y^2 below 0.16; relative error 2e-11.
template <class T> inline T psi_over(T u) {
    return -T(1.0 / 3) - u * (T(1.0 / 45) + u * (T(2.0 / 945) + u * (T(1.0 / 4725) + u * (T(2.0 / 93555) +
           u * T(1382.0 / 638512875)))));
}

// sin(pi N x) / sin(pi x) = L along one axis: L L' where the ratio cancels next to the node by the series of log L.
template <class T> inline T grating_slope(T ratio, T over, T cos_above, T cos_below, T cells, T x) {
    const T y = T(M_PI) * x, ny = cells * y;
    const bool near = (x < T(0.125)) & (cells * x < T(0.125));
    const T u = near ? y * y : T(0), v = near ? ny * ny : T(0);
    const T series = ratio * y * (cells * cells * psi_over(v) - psi_over(u));
    const T closed = (cells * cos_above - ratio * cos_below) * over;
    return T(M_PI) * (near ? series : closed);
}

template <class T> inline void square_slopes(const Grain &g, const Lane &p, Evaluation<T> &e) {
    const double dh = std::max(std::fabs(p.dh), NEXT_TO_NODE<T>);
    const double dk = std::max(std::fabs(p.dk), NEXT_TO_NODE<T>);
    const double dl = std::max(std::fabs(p.dl), NEXT_TO_NODE<T>);
    const T uh = T(phase(dh, g.cells[0])), uk = T(phase(dk, g.cells[1])), ul = T(phase(dl, g.cells[2]));
    const T bh = sin_pi(T(dh)), bk = sin_pi(T(dk)), bl = sin_pi(T(dl));
    const T inverse = 1 / (bh * bk * bl);
    const T ih = inverse * (bk * bl), ik = inverse * (bh * bl), il = inverse * (bh * bk);
    const T h = sin_pi(uh) * ih, k = sin_pi(uk) * ik, l = sin_pi(ul) * il;
    const T ch = cos_pi(uh), ck = cos_pi(uk), cl = cos_pi(ul);
    const T sh = grating_slope<T>(h, ih, ch, cos_pi(T(dh)), T(g.cells[0]), T(dh));
    const T sk = grating_slope<T>(k, ik, ck, cos_pi(T(dk)), T(g.cells[1]), T(dk));
    const T sl = grating_slope<T>(l, il, cl, cos_pi(T(dl)), T(g.cells[2]), T(dl));
    const T along_h = 2 * h * square(k * l), along_k = 2 * k * square(h * l), along_l = 2 * l * square(h * k);
    e.value = square(h * k * l);
    e.slope[0] = p.dh < 0 ? -along_h * sh : along_h * sh;
    e.slope[1] = p.dk < 0 ? -along_k * sk : along_k * sk;
    e.slope[2] = p.dl < 0 ? -along_l * sl : along_l * sl;
    e.size[0] = along_h * T(M_PI) * T(dh) * ch * ih;
    e.size[1] = along_k * T(M_PI) * T(dk) * ck * ik;
    e.size[2] = along_l * T(M_PI) * T(dl) * cl * il;
}

// The height of a node, Na Nb Nc, is left to the host: sizes are those of the shape alone, here and below.
template <class T> inline void round_slopes(const Grain &g, const Lane &p, Evaluation<T> &e) {
    const double d[3] = {p.dh, p.dk, p.dl}, *n = g.cells;
    const double rho = (square(d[0] * n[0]) + square(d[1] * n[1]) + square(d[2] * n[2])) * g.fudge;
    const double radius = std::sqrt(rho), turn = radius - std::rint(radius), x = radius * M_PI, z = x * x;
    const bool near = x < 0.5;
    const double safe = near ? 1 : x, sine = sin_pi(turn);
    const double series = 1 - z / 10 * (1 - z / 28 * (1 - z / 54 * (1 - z / 88)));
    const double closed = 3 * (sine - safe * cos_pi(turn)) / (safe * safe * safe);
    const double below = -1.0 / 10 + z * (2.0 / 280 - z * (3.0 / 15120 - z * (4.0 / 1330560 - z * (5.0 / 172972800))));
    const double beyond = 1.5 * (sine / safe - closed) / (safe * safe);  // of the amplitude with the square of x
    const double height = square(g.volume * ROUND_VOLUME), amplitude = near ? series : closed;
    const double fall = 2 * amplitude * (near ? below : beyond) * M_PI * M_PI * height;
    e.value = T(square(amplitude) * height);
    for (int i = 0; i < 3; i++) {
        const double part = 2 * g.fudge * fall * n[i] * d[i];
        e.slope[i] = T(part * n[i]), e.size[i] = T(part * d[i]);
    }
}

inline void gauss_slopes(const Grain &g, const Lane &p, double value, Evaluation<double> &e) {
    const double d[3] = {p.dh, p.dk, p.dl}, *a = g.reciprocal, height = square(g.volume);
    const double fall = -2.0 * g.fudge / GAUSS_WIDTH * value, distance = node_distance(g, p);
    double place[3];
    for (int i = 0; i < 3; i++) place[i] = d[0] * a[i] + d[1] * a[3 + i] + d[2] * a[6 + i];
    for (int i = 0; i < 3; i++) {
        e.slope[i] = 2 * fall * height * dot(a + 3 * i, place[0], place[1], place[2]);
        e.size[i] = 2 * fall * distance / g.cells[i];
        e.metric[i] = fall * height * d[i] * d[i];
    }
    e.metric[3] = fall * height * d[1] * d[2], e.metric[4] = fall * height * d[0] * d[2];
    e.metric[5] = fall * height * d[0] * d[1];
}

inline void gauss_hkl_slopes(const Grain &g, const Lane &p, double value, Evaluation<double> &e) {
    const double d[3] = {p.dh, p.dk, p.dl}, *n = g.matrix, fall = -4.0 * g.fudge / GAUSS_WIDTH * value;
    double w[3];
    for (int i = 0; i < 3; i++) w[i] = fall * dot(n + 3 * i, d[0], d[1], d[2]);
    for (int i = 0; i < 3; i++) e.slope[i] = n[i] * w[0] + n[3 + i] * w[1] + n[6 + i] * w[2], e.size[i] = w[i] * d[i];
    e.size[3] = w[0] * d[1] + w[1] * d[0], e.size[4] = w[1] * d[2] + w[2] * d[1], e.size[5] = w[0] * d[2] + w[2] * d[0];
}

// Type of an evaluation's numbers: as `Squared` has it.
template <class T, Shape SHAPE> inline Evaluation<Squared<T, SHAPE>> evaluate(const Grain &g, const Lane &p) {
    Evaluation<Squared<T, SHAPE>> e = {};
    if constexpr (SHAPE == SQUARE) square_slopes<T>(g, p, e);
    else if constexpr (SHAPE == ROUND) round_slopes<T>(g, p, e);
    else {
        e.value = lattice_squared<T, SHAPE>(g, p);
        if constexpr (SHAPE == GAUSS) gauss_slopes(g, p, e.value, e);
        else gauss_hkl_slopes(g, p, e.value, e);
    }
    return e;
}

// Slopes of the four Lagrange weights at x, for lane i.
inline void lagrange_slopes(double x, double slopes[4][GROUP], int i) {
    slopes[0][i] = -(3 * x * x - 6 * x + 2) / 6, slopes[1][i] = (3 * x * x - 4 * x - 1) / 2;
    slopes[2][i] = -(3 * x * x - 2 * x - 2) / 2, slopes[3][i] = (3 * x * x - 1) / 6;
}

// Squared amplitudes of some lanes with their slopes along h, k, l, by tricubic interpolation where that is possible.
template <class T> void interpolate_slopes(const Setup &s, const double *cell, Block &b, double *const *slopes, int from) {
    alignas(64) double on[3][4][GROUP], with[3][4][GROUP];
    alignas(64) int32_t first[GROUP], inside[GROUP];
    const T *squares = squares_of<T>(s, b);
    const double *values = s.values + b.channel * s.entries;
    if (s.parts_mixed) mix<T>(s, cell, b, from);
    for (int i = 0; i < GROUP; i++) {
        const Lane p = lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]);
        const double at[3] = {p.h, p.k, p.l};
        double corner[3];
        inside[i] = 1;
        for (int axis = 0; axis < 3; axis++) {
            corner[axis] = clamp(std::floor(at[axis]), s.lowest[axis] + 2, s.highest[axis] - 3);
            lagrange(at[axis] - corner[axis], on[axis], i), lagrange_slopes(at[axis] - corner[axis], with[axis], i);
            inside[i] &= between(s, axis, at[axis]);
            slopes[axis][from + i] = 0;
        }
        first[i] = entry(s, corner[0] - 1, corner[1] - 1, corner[2] - 1);
        if (!s.parts_mixed) b.amplitude[from + i] = double(nearest_squared<T>(s, squares, p));
    }
    const int64_t length = int64_t(s.length), plane = int64_t(s.rows) * length;
    for (int i = 0; i < GROUP; i++) {
        if (!inside[i]) continue;
        double sum = 0, slope[3] = {0, 0, 0};
        for (int n = 0; n < 64; n++) {
            const int h = n / 16, k = n / 4 % 4, l = n % 4;
            const int64_t place = first[i] + h * plane + k * length + l;
            const double value = s.parts_mixed ? mixed_amplitude<T>(s, b, place) : values[place];
            sum += value * on[0][h][i] * on[1][k][i] * on[2][l][i];
            slope[0] += value * with[0][h][i] * on[1][k][i] * on[2][l][i];
            slope[1] += value * on[0][h][i] * with[1][k][i] * on[2][l][i];
            slope[2] += value * on[0][h][i] * on[1][k][i] * with[2][l][i];
        }
        b.amplitude[from + i] = square(sum);
        for (int axis = 0; axis < 3; axis++) slopes[axis][from + i] = 2 * sum * slope[axis];
    }
}
