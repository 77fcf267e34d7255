// One evaluation with its derivatives: the squared lattice factor, its slopes with h, k, l and with the numbers of cells.
#pragma once

#include "orientation.h"

constexpr int SIZES = 6;  // Na, Nb, Nc and what an oriented N has off its diagonal: of a and b, b and c, a and c

// A call within a loop over lanes would keep that from being vectorized, and these are long.
#define INLINE inline __attribute__((always_inline))
// Unrolled into the loops around it, a loop over a group would not be vectorized either.
#define OUTLINE __attribute__((noinline))

template <class T> struct Evaluation {
    T value, slope[3], size[SIZES];
    double steep;  // of "gauss": its slope with the vector from the node, over that vector
};

// (cot(pi x) - 1 / (pi x)) / x from x^2, for |x| <= 1/2; minimax polynomials, absolute error 2e-8 (float) and 2e-16 (double).
inline float cot_pi_beyond(float u) {
    float p = -1.68060997812f;
    p = p * u - 0.210223307217f;
    p = p * u - 0.716185230952f;
    p = p * u - 0.631985540175f;
    p = p * u - 0.647969945815f;
    p = p * u - 0.689023474866f;
    return p * u - 1.04719756372f;
}

inline double cot_pi_beyond(double u) {
    double p = -4.4363780676504648535;
    p = p * u + 3.3272835396002801173;
    p = p * u - 2.73807712482647559;
    p = p * u + 0.051988653801288916181;
    p = p * u - 0.78721130841929705426;
    p = p * u - 0.61390018967062665028;
    p = p * u - 0.63901817037442920587;
    p = p * u - 0.63648511868221734572;
    p = p * u - 0.63678495501885249919;
    p = p * u - 0.63725266900445346386;
    p = p * u - 0.63921550303258643269;
    p = p * u - 0.6476607084902717977;
    p = p * u - 0.68902837067352228857;
    return p * u - 1.047197551196597623;
}

// L = sin(pi N x) / sin(pi x) along one axis and L', up to the sign of both, and dL/dN: N x is a whole number `turns` and
// a fraction f. L' / (pi L) = N cot(pi N x) - cot(pi x) has poles where f or x is 0, which are taken out of both cotangents:
// N / (pi f) - 1 / (pi x) = turns / (pi f x), and that is exactly 0 around the node itself.
template <class T> struct Grating {
    T ratio, slope, size;

    // over  1 / sin(pi x)
    INLINE Grating(T cells, T x, T f, T turns, T sinc, T over, T inverse) {
        const T near = x * cot_pi_beyond(x * x), scaled = sinc * over, beyond = f * cot_pi_beyond(f * f);
        ratio = f * scaled;
        slope = T(M_PI) * ratio * (cells * beyond - near) + turns * scaled * inverse;
        size = scaled * x * (T(M_PI) * f * beyond + 1);
    }
};

// The fraction, kept away from the node.
template <class T> INLINE double off_node(double fraction) {
    return std::fabs(fraction) < NEXT_TO_NODE<T> ? NEXT_TO_NODE<T> : fraction;
}

template <class T> INLINE void square_slopes(const Grain &g, const Lane &p, Evaluation<T> &e) {
    const double dh = off_node<T>(p.dh), dk = off_node<T>(p.dk), dl = off_node<T>(p.dl);
    const double nh = dh * g.cells[0], nk = dk * g.cells[1], nl = dl * g.cells[2];
    const double mh = std::rint(nh), mk = std::rint(nk), ml = std::rint(nl);
    const T xh = T(dh), xk = T(dk), xl = T(dl), fh = T(nh - mh), fk = T(nk - mk), fl = T(nl - ml);
    const T bh = sin_pi(xh), bk = sin_pi(xk), bl = sin_pi(xl);
    const T over = 1 / (bh * bk * bl), inverse = 1 / (xh * xk * xl);
    const Grating<T> h(T(g.cells[0]), xh, fh, T(mh), sinc_pi(fh * fh), over * (bk * bl), inverse * (xk * xl));
    const Grating<T> k(T(g.cells[1]), xk, fk, T(mk), sinc_pi(fk * fk), over * (bh * bl), inverse * (xh * xl));
    const Grating<T> l(T(g.cells[2]), xl, fl, T(ml), sinc_pi(fl * fl), over * (bh * bk), inverse * (xh * xk));
    const T kl = k.ratio * l.ratio, hl = h.ratio * l.ratio, hk = h.ratio * k.ratio, twice = 2 * h.ratio * kl;
    e.value = square(h.ratio * kl);
    e.slope[0] = twice * kl * h.slope, e.slope[1] = twice * hl * k.slope, e.slope[2] = twice * hk * l.slope;
    e.size[0] = twice * kl * h.size, e.size[1] = twice * hl * k.size, e.size[2] = twice * hk * l.size;
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
    const double twice = -4.0 * g.fudge / GAUSS_WIDTH * square(g.volume) * value;
    const double sized = twice * (x * x + y * y + z * z);
    e.steep = twice;
    e.slope[0] = twice * dot(a, x, y, z), e.slope[1] = twice * dot(a + 3, x, y, z), e.slope[2] = twice * dot(a + 6, x, y, z);
    e.size[0] = sized / g.cells[0], e.size[1] = sized / g.cells[1], e.size[2] = sized / g.cells[2];
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
    find_nearest<T>(s, cell, b, from);
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
    }
    const int64_t length = int64_t(s.length), plane = int64_t(s.rows) * length;
    for_neighbours(first, inside, [&](int64_t node, int side, int wanting) {
        const auto weight = [&](int axis, int n) -> const Lanes & { return lanes_from(on[axis][n] + side); };
        const auto rate = [&](int axis, int n) -> const Lanes & { return lanes_from(with[axis][n] + side); };
        Lanes sum = {}, slope[3] = {};
        for (int h = 0; h < 4; h++) {
            Lanes sheet = {}, on_k = {}, on_l = {};
            for (int k = 0; k < 4; k++) {
                double room[4];
                const double *row = row_of<T>(s, b, node + h * plane + k * length, room);
                Lanes line = {}, along = {};
                for (int l = 0; l < 4; l++) line += weight(2, l) * row[l], along += rate(2, l) * row[l];
                sheet += weight(1, k) * line, on_k += rate(1, k) * line, on_l += weight(1, k) * along;
            }
            sum += weight(0, h) * sheet;
            slope[0] += rate(0, h) * sheet, slope[1] += weight(0, h) * on_k, slope[2] += weight(0, h) * on_l;
        }
        for (int i = 0; i < SIDE; i++) {
            if (!(wanting >> (side + i) & 1)) continue;
            b.amplitude[from + side + i] = square(sum[i]);
            for (int axis = 0; axis < 3; axis++) slopes[axis][from + side + i] = 2 * sum[i] * slope[axis][i];
        }
    });
}
