// One evaluation with its derivatives: the squared lattice factor, its slopes with h, k, l and with the numbers of cells.
#pragma once

#include "orientation.h"

constexpr int SIZES = 6;   // Na, Nb, Nc and what an oriented N has off its diagonal: of a and b, b and c, a and c
constexpr int METRIC = 6;  // of a* with a*, b* with b*, c* with c*, then b* c*, a* c*, a* b*

// A call within a loop over lanes would keep that from being vectorized, and these are long.
#define INLINE inline __attribute__((always_inline))
// Unrolled into the loops around it, a loop over a group would not be vectorized either.
#define OUTLINE __attribute__((noinline))

template <class T> struct Evaluation {
    T value, slope[3], size[SIZES];
    double metric[METRIC];
};

// psi(y) / y with psi the logarithmic derivative of sin(y) / y, from y^2 below 0.16; relative error 2e-11.
template <class T> INLINE T psi_over(T u) {
    return -T(1.0 / 3) - u * (T(1.0 / 45) + u * (T(2.0 / 945) + u * (T(1.0 / 4725) + u * (T(2.0 / 93555) +
           u * T(1382.0 / 638512875)))));
}

// sin(pi N x) / sin(pi x) = L along one axis: L L' where the ratio cancels next to the node by the series of log L.
template <class T> INLINE T grating_slope(T ratio, T over, T cos_above, T cos_below, T cells, T x) {
    // Both forms are computed: a branch would keep the loop over lanes from being vectorized.
    const T y = T(M_PI) * x, ny = cells * y, u = std::min(y * y, T(1)), v = std::min(ny * ny, T(1));
    const T near = std::max(x, cells * x) < T(0.125) ? T(1) : T(0);
    const T series = ratio * y * (cells * cells * psi_over(v) - psi_over(u));
    const T closed = (cells * cos_above - ratio * cos_below) * over;
    return T(M_PI) * (near * series + (1 - near) * closed);
}

template <class T> INLINE void square_slopes(const Grain &g, const Lane &p, Evaluation<T> &e) {
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
    e.slope[0] = along_h * sh * T(std::copysign(1.0, p.dh));
    e.slope[1] = along_k * sk * T(std::copysign(1.0, p.dk));
    e.slope[2] = along_l * sl * T(std::copysign(1.0, p.dl));
    e.size[0] = along_h * T(M_PI) * T(dh) * ch * ih;
    e.size[1] = along_k * T(M_PI) * T(dk) * ck * ik;
    e.size[2] = along_l * T(M_PI) * T(dl) * cl * il;
}

// The height of a node, Na Nb Nc, is left to the host: sizes are those of the shape alone, here and below.
template <class T> INLINE void round_slopes(const Grain &g, const Lane &p, Evaluation<T> &e) {
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
    const double part = 2 * g.fudge * fall, h = part * n[0] * d[0], k = part * n[1] * d[1], l = part * n[2] * d[2];
    e.slope[0] = T(h * n[0]), e.slope[1] = T(k * n[1]), e.slope[2] = T(l * n[2]);
    e.size[0] = T(h * d[0]), e.size[1] = T(k * d[1]), e.size[2] = T(l * d[2]);
}

INLINE void gauss_slopes(const Grain &g, const Lane &p, double value, Evaluation<double> &e) {
    const double *a = g.reciprocal, h = p.dh, k = p.dk, l = p.dl;
    const double x = h * a[0] + k * a[3] + l * a[6], y = h * a[1] + k * a[4] + l * a[7], z = h * a[2] + k * a[5] + l * a[8];
    const double fall = -2.0 * g.fudge / GAUSS_WIDTH * value, steep = fall * square(g.volume), twice = 2 * steep;
    const double sized = twice * (x * x + y * y + z * z);
    e.slope[0] = twice * dot(a, x, y, z), e.slope[1] = twice * dot(a + 3, x, y, z), e.slope[2] = twice * dot(a + 6, x, y, z);
    e.size[0] = sized / g.cells[0], e.size[1] = sized / g.cells[1], e.size[2] = sized / g.cells[2];
    e.metric[0] = steep * h * h, e.metric[1] = steep * k * k, e.metric[2] = steep * l * l;
    e.metric[3] = steep * k * l, e.metric[4] = steep * h * l, e.metric[5] = steep * h * k;
}

INLINE void gauss_hkl_slopes(const Grain &g, const Lane &p, double value, Evaluation<double> &e) {
    const double *n = g.matrix, fall = -4.0 * g.fudge / GAUSS_WIDTH * value, h = p.dh, k = p.dk, l = p.dl;
    const double x = fall * dot(n, h, k, l), y = fall * dot(n + 3, h, k, l), z = fall * dot(n + 6, h, k, l);
    e.slope[0] = n[0] * x + n[3] * y + n[6] * z, e.slope[1] = n[1] * x + n[4] * y + n[7] * z;
    e.slope[2] = n[2] * x + n[5] * y + n[8] * z;
    e.size[0] = x * h, e.size[1] = y * k, e.size[2] = z * l;
    e.size[3] = x * k + y * h, e.size[4] = y * l + z * k, e.size[5] = x * l + z * h;
}

// Type of an evaluation's numbers: as `Squared` has it.
// gaussian  the squared lattice factor, where the shape is one: found in a loop of its own, as the choice whether it is
//           zero would become a branch around all that follows
template <class T, Shape SHAPE>
INLINE Evaluation<Squared<T, SHAPE>> evaluate(const Grain &g, const Lane &p, double gaussian) {
    Evaluation<Squared<T, SHAPE>> e = {};
    if constexpr (SHAPE == SQUARE) square_slopes<T>(g, p, e);
    else if constexpr (SHAPE == ROUND) round_slopes<T>(g, p, e);
    else if constexpr (SHAPE == GAUSS) e.value = gaussian, gauss_slopes(g, p, gaussian, e);
    else e.value = gaussian, gauss_hkl_slopes(g, p, gaussian, e);
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
