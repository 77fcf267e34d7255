// The sum over a pixel on a CPU: what physics/intensity.py defines, for some hundred pixels at a time.
//
// Pixels are the lanes of vectors. A block of them fits the first-level cache, and everything else is looped over
// around it: layers, sub-pixels, sources, spindle steps and mosaic domains, in that order, so memory depends on none
// of them. Loops marked simd have no branches and no calls. T is the type of what follows the fraction of h, k, l.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace {

constexpr int LANES = 256;  // of a block
constexpr int GROUP = 16;   // blocks are padded to a multiple: no lane is left to a loop's scalar tail
constexpr int MATRIX = 9;

enum Shape { SQUARE, ROUND, GAUSS, TOPHAT };

}  // namespace

extern "C" {

// As `_Setup` in fused.py. Lengths in metres, angles in radians; vectors are x, y, z; matrices are rows a, b, c.
struct Setup {
    int64_t size;  // of this struct in bytes, to be sure that both sides mean the same
    int64_t width, shape, single, interpolate, skip;
    int64_t layers, oversample, sources, phi_steps, mosaic_domains;
    int64_t point_pixel, curved, absorbing, polarized, oversample_thick, oversample_polar, oversample_omega;
    int64_t strict, unrotated_start, latch;  // as in physics/strict.py; latch < 0: none
    double cells[3], volume, fudge, reciprocal[9];                                // crystal
    double lowest[3], highest[3], rows, length, entry;                            // table
    double polarization_axis[3], kahn_factor;                                     // beam
    double origin[3], fast[3], slow[3], normal[3], beam[3];                       // panel
    double pixel_size, close_distance, curved_radius, layer_thickness, attenuation;
    double dmin, background, scale;
    const double *incident, *wavelengths, *weights;                               // per source
    const double *cell, *turned, *mosaic;                                         // (3, 3), (phi, 3, 3), (domains, 3, 3)
    const double *values;                                                         // amplitudes
    const void *squares;                                                          // their squares, of type T
};

}  // extern "C"

namespace {

// ---- numbers ----

template <class T> inline T square(T x) { return x * x; }

// Not a number goes to `low`, so that no index leaves the table.
inline double clamp(double x, double low, double high) {
    x = x > low ? x : low;
    return x < high ? x : high;
}

inline double dot(const double *u, double x, double y, double z) { return u[0] * x + u[1] * y + u[2] * z; }

// sin(pi x) for |x| <= 1/2; minimax polynomials, relative error 5e-9 (float) and 3e-19 (double) before rounding.
inline float sin_pi(float x) {
    const float u = x * x;
    return x * (3.1415926369f + u * (-5.1677096848f + u * (2.55006972641f + u * (-0.598242126841f + u * 0.0775603877265f))));
}

inline double sin_pi(double x) {
    const double u = x * x;
    double p = 7.6947271574417398646e-7;
    p = p * u - 2.190318540711956477e-5;
    p = p * u + 4.6629968877016402758e-4;
    p = p * u - 7.3704304787627459033e-3;
    p = p * u + 8.2145886569892819856e-2;
    p = p * u - 0.59926452931873824753;
    p = p * u + 2.55016403987729394;
    p = p * u - 5.1677127800499695287;
    return x * (p * u + 3.1415926535897932377);
}

// cos(pi x) for |x| <= 1/2, absolute error 2e-10 and 1e-20.
inline float cos_pi(float x) {
    const float u = x * x;
    return 1.0f + u * (-4.93480219662f + u * (4.0587113691f + u * (-1.33523906012f + u * (0.235068651459f - u * 0.0246157442666f))));
}

inline double cos_pi(double x) {
    const double u = x * x;
    double p = -1.3476810438077299396e-7;
    p = p * u + 4.3011812109377893034e-6;
    p = p * u - 1.0463762516505025276e-4;
    p = p * u + 1.9295742382184159055e-3;
    p = p * u - 2.5806891383797850731e-2;
    p = p * u + 0.23533063035858764945;
    p = p * u - 1.3352627688545819532;
    p = p * u + 4.0587121264167681463;
    p = p * u - 4.9348022005446793093;
    return 1.0 + u * p;
}

// 2^x for |x| <= 1/2, relative error 2e-9 and 2e-16.
inline float exp2_near(float x) {
    return 1.00000000055f + x * (0.693147205737f + x * (0.240226468907f + x * (0.0555032877681f +
           x * (0.00961848895568f + x * (0.00133999312744f + x * 0.000153458124124f)))));
}

inline double exp2_near(double x) {
    double p = 7.0372781704817272467e-9;
    p = p * x + 1.0208537950682937407e-7;
    p = p * x + 1.3215662840455609298e-6;
    p = p * x + 1.5252658116301479516e-5;
    p = p * x + 1.5403529961116555868e-4;
    p = p * x + 1.3333558228561942586e-3;
    p = p * x + 9.6181291081346071033e-3;
    p = p * x + 5.5504108664458830376e-2;
    p = p * x + 0.24022650695908767735;
    p = p * x + 0.69314718055994977511;
    return p * x + 1.0000000000000000661;
}

// exp(x) with the precision of T and the range of float64; zero where that has no normal numbers.
template <class T> inline double exponential(double x) {
    const double turns = clamp(x * 1.4426950408889634074, -1100.0, 1023.0);
    const double shifted = turns + 6755399441055744.0;  // 1.5 x 2^52: the low bits hold the nearest whole number
    const double whole = shifted - 6755399441055744.0;
    union { double number; int64_t bits; } power = {shifted};
    power.bits = (power.bits + 1023) << 52;
    // x - whole / log2(e) in two parts keeps what the product has rounded away.
    const double rest = (x - whole * 0.693147180369123816490) - whole * 1.90821492927058770002e-10;
    const double value = power.number * double(exp2_near(T(rest * 1.4426950408889634074)));
    return turns < -1022.0 ? 0.0 : value;
}

// ---- one evaluation: h, k, l to the squared structure and lattice factors ----

// Fractions below this are as good as the node itself, and three of them can be multiplied in T.
template <class T> constexpr double NEXT_TO_NODE = sizeof(T) == 4 ? 1e-12 : 1e-30;
constexpr double ROUND_VOLUME = 0.723601254558268;
constexpr double GAUSS_WIDTH = 0.63;
constexpr double TOPHAT_RADIUS_SQUARED = 0.3969;
constexpr double LOWEST_EXPONENT = -708.5;  // the exponential of less is zero

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

template <class T> inline T nearest_squared(const Setup &s, const Lane &p) {
    const double h = clamp(p.h0, s.lowest[0], s.highest[0]);
    const double k = clamp(p.k0, s.lowest[1], s.highest[1]);
    const double l = clamp(p.l0, s.lowest[2], s.highest[2]);
    return static_cast<const T *>(s.squares)[entry(s, h, k, l)];
}

inline double phase(double fraction, double cells) {
    const double turns = fraction * cells;
    return turns - std::rint(turns);
}

template <class T> inline T square_lattice(const Setup &s, const Lane &p) {
    // The grating function is even, so signs may go.
    const double h = std::max(std::fabs(p.dh), NEXT_TO_NODE<T>);
    const double k = std::max(std::fabs(p.dk), NEXT_TO_NODE<T>);
    const double l = std::max(std::fabs(p.dl), NEXT_TO_NODE<T>);
    const T above = sin_pi(T(phase(h, s.cells[0]))) * sin_pi(T(phase(k, s.cells[1]))) * sin_pi(T(phase(l, s.cells[2])));
    const T below = sin_pi(T(h)) * sin_pi(T(k)) * sin_pi(T(l));
    return square(above / below);
}

template <class T> inline T round_lattice(const Setup &s, const Lane &p) {
    const double sum = square(p.dh * s.cells[0]) + square(p.dk * s.cells[1]) + square(p.dl * s.cells[2]);
    const double radius = std::sqrt(sum * s.fudge);
    // sin and cos of pi r change sign together from one half turn to the next; the square does not care.
    const T turn = T(radius - std::rint(radius));
    const T x = T(radius * M_PI), xx = x * x;
    // The closed form cancels near zero; the series is good to 1e-11 below one half.
    const T series = T(1) - xx / T(10) * (T(1) - xx / T(28) * (T(1) - xx / T(54) * (T(1) - xx / T(88))));
    const T safe = x < T(0.5) ? T(1) : x;
    const T closed = T(3) * (sin_pi(turn) - safe * cos_pi(turn)) / (safe * safe * safe);
    const T amplitude = (x < T(0.5) ? series : closed) * T(s.volume * ROUND_VOLUME);
    return amplitude * amplitude;
}

// Squared distance to the node in 1/angstrom^2 times (Na Nb Nc)^2.
inline double node_distance(const Setup &s, const Lane &p) {
    const double *a = s.reciprocal, *b = a + 3, *c = a + 6;
    const double x = p.dh * a[0] + p.dk * b[0] + p.dl * c[0];
    const double y = p.dh * a[1] + p.dk * b[1] + p.dl * c[1];
    const double z = p.dh * a[2] + p.dk * b[2] + p.dl * c[2];
    return (x * x + y * y + z * z) * (s.volume * s.volume);
}

inline bool between(const Setup &s, int axis, double x) {
    const double minimum = s.lowest[axis] + 1, size = s.highest[axis] - s.lowest[axis] - 1;
    return !((x - minimum + 3 > size) | (x - 2 < minimum));
}

// ---- a block of pixels ----

struct Block {
    alignas(64) double number[LANES], slow[LANES], fast[LANES];
    alignas(64) double x[LANES], y[LANES], z[LANES];       // scattering vector of the wave, 1/m
    alignas(64) double sum[LANES], amplitude[LANES];       // over the orientations of the wave; squared
    alignas(64) double d[3][LANES];                        // unit vector to the sub-pixel
    alignas(64) double omega[LANES], capture[LANES], polar[LANES], factor[LANES];
    alignas(64) double accepted[LANES], visited[LANES];    // one, or zero where dmin rejects the wave
    alignas(64) double total[LANES], layer[LANES], isotropic[LANES], absorbed[LANES], omega_sum[LANES];
    alignas(64) double first_omega[LANES];
    alignas(64) double interpolated[LANES];                // so many of the pixel's first evaluations may be interpolated
    int lanes;                                             // in use, padded to whole groups
};

// Gaussians may be smaller than float32 can tell, all over an image.
template <class T, Shape SHAPE>
inline std::conditional_t<SHAPE == GAUSS, double, T> lattice_squared(const Setup &s, const Lane &p) {
    if (SHAPE == SQUARE) return square_lattice<T>(s, p);
    if (SHAPE == ROUND) return round_lattice<T>(s, p);
    const double distance = node_distance(s, p);
    if (SHAPE == GAUSS) return exponential<T>(distance * (-2.0 * s.fudge / GAUSS_WIDTH)) * square(s.volume);
    return distance * s.fudge < TOPHAT_RADIUS_SQUARED ? T(square(s.volume)) : T(0);
}

// Four-point Lagrange weights of the nodes -1, 0, 1, 2 at x, for lane i.
inline void lagrange(double x, double weights[4][GROUP], int i) {
    const double below = x + 1, above = x - 1, far = x - 2;
    weights[0][i] = -x * above * far / 6, weights[1][i] = below * above * far / 2;
    weights[2][i] = -below * x * far / 2, weights[3][i] = below * x * above / 6;
}

// Squared amplitudes at evaluation `number` of a pixel, by tricubic interpolation where that is allowed and possible.
template <class T> void interpolate(const Setup &s, const double *cell, double number, Block &b, int from) {
    alignas(64) double on_h[4][GROUP], on_k[4][GROUP], on_l[4][GROUP];
    alignas(64) int32_t first[GROUP], inside[GROUP];
#pragma omp simd
    for (int i = 0; i < GROUP; i++) {
        const Lane p = lane_at(cell, b.x[from + i], b.y[from + i], b.z[from + i]);
        const double h = clamp(std::floor(p.h), s.lowest[0] + 2, s.highest[0] - 3);
        const double k = clamp(std::floor(p.k), s.lowest[1] + 2, s.highest[1] - 3);
        const double l = clamp(std::floor(p.l), s.lowest[2] + 2, s.highest[2] - 3);
        lagrange(p.h - h, on_h, i), lagrange(p.k - k, on_k, i), lagrange(p.l - l, on_l, i);
        first[i] = entry(s, h - 1, k - 1, l - 1);
        inside[i] = (number < b.interpolated[from + i]) & between(s, 0, p.h) & between(s, 1, p.k) & between(s, 2, p.l);
        b.amplitude[from + i] = double(nearest_squared<T>(s, p));
    }
    // Neighbours along l lie side by side: here they are the lanes.
    const int64_t length = int64_t(s.length), plane = int64_t(s.rows) * length;
    for (int i = 0; i < GROUP; i++) {
        if (!inside[i]) continue;
        double along[4] = {0, 0, 0, 0};
        for (int h = 0; h < 4; h++) {
            for (int k = 0; k < 4; k++) {
                const double weight = on_h[h][i] * on_k[k][i], *row = s.values + first[i] + h * plane + k * length;
                for (int l = 0; l < 4; l++) along[l] += weight * row[l];
            }
        }
        const double low = on_l[0][i] * along[0] + on_l[1][i] * along[1];
        b.amplitude[from + i] = square(low + on_l[2][i] * along[2] + on_l[3][i] * along[3]);
    }
}

// Add one orientation to the sums of some lanes: the innermost loop.
template <class T, Shape SHAPE>
inline void add_lanes(const Setup &s, const double *cell, double number, Block &b, int from, int to) {
    if (s.interpolate) {
        for (int i = from; i < to; i += GROUP) interpolate<T>(s, cell, number, b, i);
#pragma omp simd
        for (int i = from; i < to; i++) {
            const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
            b.sum[i] += double(T(b.amplitude[i]) * lattice_squared<T, SHAPE>(s, p));
        }
        return;
    }
#pragma omp simd
    for (int i = from; i < to; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        b.sum[i] += double(nearest_squared<T>(s, p) * lattice_squared<T, SHAPE>(s, p));
    }
}

// The same for all lanes, without the groups that are so far from all nodes that they get exact zeros.
template <class T, Shape SHAPE> void add_orientation(const Setup &s, const double *cell, double number, Block &b) {
    constexpr bool TAILS = SHAPE == SQUARE || SHAPE == ROUND;
    if (TAILS || !s.skip) return add_lanes<T, SHAPE>(s, cell, number, b, 0, b.lanes);
    const double reach = SHAPE == GAUSS ? LOWEST_EXPONENT * GAUSS_WIDTH / -2.0 : TOPHAT_RADIUS_SQUARED;
    for (int from = 0; from < b.lanes; from += GROUP) {
        double nearest = INFINITY;
#pragma omp simd reduction(min : nearest)
        for (int i = from; i < from + GROUP; i++) {
            nearest = std::min(nearest, node_distance(s, lane_at(cell, b.x[i], b.y[i], b.z[i])));
        }
        if (!(nearest * s.fudge > reach)) add_lanes<T, SHAPE>(s, cell, number, b, from, from + GROUP);
    }
}

// Strict only: one where the reference goes on to the structure factor, zero where it leaves the sum alone.
template <class T, Shape SHAPE> void find_visited(const Setup &s, const double *cell, Block &b) {
    const bool all = SHAPE == SQUARE || SHAPE == ROUND || s.background != 0;
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
        b.visited[i] = all || lattice_squared<T, SHAPE>(s, p) != 0 ? b.accepted[i] : 0.0;
    }
}

// The two loops that depend on the shape of the crystal and on the precision.
struct Kernel {
    void (*add_orientation)(const Setup &, const double *, double, Block &);
    void (*find_visited)(const Setup &, const double *, Block &);
};

template <class T> Kernel kernel_of(int64_t shape) {
    switch (shape) {
        case SQUARE: return {add_orientation<T, SQUARE>, find_visited<T, SQUARE>};
        case ROUND: return {add_orientation<T, ROUND>, find_visited<T, ROUND>};
        case GAUSS: return {add_orientation<T, GAUSS>, find_visited<T, GAUSS>};
        default: return {add_orientation<T, TOPHAT>, find_visited<T, TOPHAT>};
    }
}

// ---- the way to one sub-pixel ----

inline double length_of(double x, double y, double z) { return std::sqrt(x * x + y * y + z * z); }

// v turned about `axis`, taken as it is.
inline void rotate_about(double *v, const double *axis, double angle) {
    const double c = std::cos(angle), s = std::sin(angle), along = dot(axis, v[0], v[1], v[2]) * (1.0 - c);
    const double side[3] = {axis[1] * v[2] - axis[2] * v[1], axis[2] * v[0] - axis[0] * v[2], axis[0] * v[1] - axis[1] * v[0]};
    for (int i = 0; i < 3; i++) v[i] = v[i] * c + axis[i] * along + side[i] * s;
}

// Unit vectors to one sub-pixel at one depth, and its solid angle where `omega` is due.
void aim(const Setup &s, Block &b, int layer, int sub, bool omega) {
    const int n = int(s.oversample);
    const double edge = s.pixel_size / n, depth = layer * s.layer_thickness;
    const double on_slow = sub / n, on_fast = sub % n, area = s.pixel_size * s.pixel_size;
    double base[3];
    for (int i = 0; i < 3; i++) base[i] = s.origin[i] + depth * s.normal[i];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double slow = edge * (b.slow[i] * n + on_slow) + edge / 2.0;
        const double fast = edge * (b.fast[i] * n + on_fast) + edge / 2.0;
        b.d[0][i] = fast * s.fast[0] + slow * s.slow[0] + base[0];
        b.d[1][i] = fast * s.fast[1] + slow * s.slow[1] + base[1];
        b.d[2][i] = fast * s.fast[2] + slow * s.slow[2] + base[2];
    }
    // The laboratory y and z of the flat position are arc lengths on the reference's curved detector.
    for (int i = 0; s.curved && i < b.lanes; i++) {
        double v[3] = {s.curved_radius * s.beam[0], s.curved_radius * s.beam[1], s.curved_radius * s.beam[2]};
        rotate_about(v, s.slow, b.d[1][i] / s.curved_radius);
        rotate_about(v, s.fast, b.d[2][i] / s.curved_radius);
        for (int axis = 0; axis < 3; axis++) b.d[axis][i] = v[axis];
    }
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double closeness = 1.0 / length_of(b.d[0][i], b.d[1][i], b.d[2][i]);
        b.d[0][i] *= closeness, b.d[1][i] *= closeness, b.d[2][i] *= closeness;
        const double sphere = closeness * closeness;
        const double due = s.point_pixel ? sphere : area * sphere * s.close_distance * closeness;
        b.omega[i] = omega ? due : b.omega[i];
    }
}

// The fraction of photons that a layer absorbs.
void absorb(const Setup &s, Block &b, int layer) {
    const double front = -layer * s.layer_thickness * s.attenuation;
    const double back = -(layer + 1) * s.layer_thickness * s.attenuation;
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double parallax = dot(s.normal, b.d[0][i], b.d[1][i], b.d[2][i]);
        const double path = 1.0 / parallax;
        b.capture[i] = exponential<double>(front * path) - exponential<double>(back * path);
    }
}

// Scattering vectors of one source; false where dmin rejects every lane.
bool scatter(const Setup &s, Block &b, int source) {
    const double *incident = s.incident + 3 * source, per_metre = 1.0 / s.wavelengths[source];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        b.x[i] = (b.d[0][i] - incident[0]) * per_metre;
        b.y[i] = (b.d[1][i] - incident[1]) * per_metre;
        b.z[i] = (b.d[2][i] - incident[2]) * per_metre;
    }
    if (s.dmin <= 0) return true;
    double any = 0;
#pragma omp simd reduction(max : any)
    for (int i = 0; i < b.lanes; i++) {
        const double stol = 0.5 * length_of(b.x[i], b.y[i], b.z[i]);
        b.accepted[i] = (stol > 0) & (s.dmin * stol > 0.5) ? 0.0 : 1.0;
        any = std::max(any, b.accepted[i]);
    }
    return any > 0;
}

inline void unit(double *v) {
    const double length = length_of(v[0], v[1], v[2]);
    for (int i = 0; i < 3; i++) v[i] = length > 0 ? v[i] / length : v[i];
}

inline void cross(const double *u, const double *v, double *w) {
    w[0] = u[1] * v[2] - u[2] * v[1], w[1] = u[2] * v[0] - u[0] * v[2], w[2] = u[0] * v[1] - u[1] * v[0];
}

// Kahn's polarisation factor of one source into `factor`.
void polarize(const Setup &s, Block &b, int source) {
    if (!s.polarized) return;
    double beam[3] = {s.incident[3 * source], s.incident[3 * source + 1], s.incident[3 * source + 2]}, magnetic[3], electric[3];
    unit(beam);
    cross(s.polarization_axis, beam, magnetic);
    unit(magnetic);
    cross(beam, magnetic, electric);
    unit(electric);
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double x = b.d[0][i], y = b.d[1][i], z = b.d[2][i];
        const double cosines = square(dot(beam, x, y, z));
        const double m = square(dot(magnetic, x, y, z)), e = square(dot(electric, x, y, z)), both = m + e;
        const double cos_2psi = both > 0 ? (e - m) / (both > 0 ? both : 1.0) : 1.0;
        const double kahn = 0.5 * (1.0 + cosines - s.kahn_factor * cos_2psi * (1.0 - cosines));
        b.factor[i] = kahn;
    }
}

// ---- the sums ----

// Call `visit` with every orientation of one wave and its number among the evaluations of a pixel, spindle outermost.
template <class Visit> inline void for_orientations(const Setup &s, int64_t group, bool unrotated_start, Visit visit) {
    double number = double(group * s.phi_steps * s.mosaic_domains);
    for (int64_t step = 0; step < s.phi_steps; step++) {
        const double *turned = step == 0 && unrotated_start ? s.cell : s.turned + MATRIX * step;
        for (int64_t domain = 0; domain < s.mosaic_domains; domain++) {
            const double *rotation = s.mosaic + MATRIX * domain;
            double cell[MATRIX];
            for (int row = 0; row < MATRIX; row += 3) {
                for (int axis = 0; axis < 3; axis++) {
                    cell[row + axis] = dot(rotation + 3 * axis, turned[row], turned[row + 1], turned[row + 2]);
                }
            }
            visit(cell, number++);
        }
    }
}

// Sum over all orientations of one wave.
void sweep(const Setup &s, const Kernel &kernel, Block &b, int64_t group, bool unrotated_start) {
    std::fill_n(b.sum, b.lanes, 0.0);
    for_orientations(s, group, unrotated_start, [&](const double *cell, double number) {
        kernel.add_orientation(s, cell, number, b);
    });
}

// Strict only: I := (I + term) x factors for every orientation of one wave, I being `total`.
void running_product(const Setup &s, const Kernel &kernel, Block &b, int64_t group, bool unrotated_start) {
    for_orientations(s, group, unrotated_start, [&](const double *cell, double number) {
        std::fill_n(b.sum, b.lanes, 0.0);
        kernel.add_orientation(s, cell, number, b);
        kernel.find_visited(s, cell, b);
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) {
            double after = b.total[i] + b.sum[i];
            after *= s.oversample_thick ? b.capture[i] : 1.0;
            after *= s.oversample_polar ? b.factor[i] : 1.0;
            after *= s.oversample_omega ? b.omega[i] : 1.0;
            b.total[i] = b.visited[i] > 0 ? after : b.total[i];
        }
    });
}

// Add one wave, weighted, to the layer of every lane.
void add_wave(const Setup &s, const Kernel &kernel, Block &b, int64_t group, int source) {
    sweep(s, kernel, b, group, false);
    const double weight = s.weights[source];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        double term = b.sum[i] * weight;
        term *= s.oversample_thick ? b.capture[i] : 1.0;
        term *= s.oversample_polar ? b.factor[i] : 1.0;
        term *= s.oversample_omega ? b.omega[i] : 1.0;
        b.layer[i] += b.accepted[i] > 0 ? term : 0.0;
    }
}

// The polarisation in use: that of the first wave that dmin accepts, kept from then on. True where all have one.
bool settle(Block &b) {
    double least = INFINITY;
#pragma omp simd reduction(min : least)
    for (int i = 0; i < b.lanes; i++) {
        const bool due = (b.polar[i] == 0) & (b.accepted[i] > 0);
        b.polar[i] = due ? b.factor[i] : b.polar[i];
        least = std::min(least, b.polar[i]);
    }
    return least > 0;
}

// Every sub-pixel of every layer: `visit` gets the number of the ray, whether it begins a layer and whether it ends one.
template <class Visit> inline void for_rays(const Setup &s, Block &b, bool simulate, Visit visit) {
    const int subs = int(s.oversample * s.oversample);
    std::fill_n(b.omega_sum, b.lanes, 0.0);
    for (double *ones : {b.capture, b.factor, b.accepted}) std::fill_n(ones, b.lanes, 1.0);
    for (int layer = 0; layer < s.layers; layer++) {
        for (int sub = 0; sub < subs; sub++) {
            aim(s, b, layer, sub, (layer == 0 && sub == 0) || s.oversample_omega);
#pragma omp simd
            for (int i = 0; i < b.lanes; i++) b.omega_sum[i] += b.omega[i];
            if (!simulate) continue;
            if (s.absorbing && (sub == 0 || s.oversample_thick)) absorb(s, b, layer);
            visit(int64_t(layer) * subs + sub, sub == 0, sub == subs - 1);
        }
    }
}

// Photons of a block into `total` (intensity.photons).
void render(const Setup &s, const Kernel &kernel, Block &b) {
    for (double *sums : {b.total, b.layer, b.absorbed, b.polar, b.isotropic}) std::fill_n(sums, b.lanes, 0.0);
    bool settled = false;
    for_rays(s, b, true, [&](int64_t ray, bool begins, bool ends) {
        if (ray == 0) std::copy_n(b.omega, b.lanes, b.first_omega);
        if (ray == 0 && s.background > 0) {
            polarize(s, b, 0);
            std::copy_n(b.factor, b.lanes, b.isotropic);
        }
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) b.absorbed[i] += begins ? b.capture[i] : 0.0;
        for (int source = 0; source < s.sources; source++) {
            if (!scatter(s, b, source)) continue;
            if (s.oversample_polar || !settled) {
                polarize(s, b, source);
                settled = settle(b);
            }
            add_wave(s, kernel, b, ray * s.sources + source, source);
        }
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) {
            const double captured = s.oversample_thick ? b.layer[i] : b.layer[i] * b.capture[i];
            b.total[i] += ends ? captured : 0.0;
            b.layer[i] = ends ? 0.0 : b.layer[i];
        }
    });
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        double total = b.total[i] * s.scale;
        total *= s.oversample_polar ? 1.0 : b.polar[i];
        total *= s.oversample_omega ? 1.0 : b.first_omega[i];
        const double water = s.background * b.isotropic[i] * b.first_omega[i] * b.absorbed[i];
        b.total[i] = s.background > 0 ? total + water : total;
    }
}

// Photons of a block into `total` as the reference computes them (strict.strict_photons).
void render_strictly(const Setup &s, const Kernel &kernel, Block &b) {
    std::fill_n(b.total, b.lanes, s.background);
    std::fill_n(b.polar, b.lanes, s.polarized ? 0.0 : 1.0);
    const bool recomputed = s.oversample_thick || s.oversample_polar || s.oversample_omega;
    bool settled = false, unrotated_start = s.unrotated_start;
    for_rays(s, b, true, [&](int64_t ray, bool, bool) {
        for (int source = 0; source < s.sources; source++) {
            if (!scatter(s, b, source)) continue;
            if (s.oversample_polar || !settled) {
                polarize(s, b, source);
                settled = settle(b);
            }
            const int64_t group = ray * s.sources + source;
            if (recomputed) {
                running_product(s, kernel, b, group, unrotated_start);
            } else {
                sweep(s, kernel, b, group, unrotated_start);
#pragma omp simd
                for (int i = 0; i < b.lanes; i++) b.total[i] += b.accepted[i] > 0 ? b.sum[i] : 0.0;
            }
            unrotated_start = false;
        }
    });
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        double total = b.total[i] * s.scale;
        total *= s.oversample_thick ? 1.0 : b.capture[i];
        total *= s.oversample_polar ? 1.0 : b.polar[i];
        b.total[i] = s.oversample_omega ? total : total * b.omega[i];
    }
}

}  // namespace

extern "C" {

int64_t tilesim_setup_size() { return sizeof(Setup); }

// Photons of the `count` pixels with these numbers (slow x width + fast) into `photons`, unless that is null.
// Returns the sum of their solid angles in use; negative where `Setup` is not what this was compiled for.
double tilesim_render(const Setup *setup, int64_t count, const int64_t *numbers, double *photons) {
    if (setup->size != int64_t(sizeof(Setup))) return -1.0;
    static thread_local Block block;
    Block &b = block;
    const int64_t orientations = setup->phi_steps * setup->mosaic_domains;
    const double width = double(setup->width);
    const double evaluations = double(setup->layers * setup->oversample * setup->oversample * setup->sources * orientations);
    const Kernel kernel = setup->single ? kernel_of<float>(setup->shape) : kernel_of<double>(setup->shape);
    double solid_angle = 0;
    for (int64_t start = 0; start < count; start += LANES) {
        const int used = int(std::min<int64_t>(LANES, count - start));
        b.lanes = (used + GROUP - 1) / GROUP * GROUP;
        for (int i = 0; i < used; i++) b.number[i] = double(numbers[start + i]);
        std::fill(b.number + used, b.number + b.lanes, b.number[used - 1]);
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) {
            b.slow[i] = std::floor((b.number[i] + 0.5) / width);
            b.fast[i] = b.number[i] - b.slow[i] * width;
            b.interpolated[i] = setup->latch < 0 ? INFINITY : double(setup->latch) - b.number[i] * evaluations;
        }
        if (!photons) for_rays(*setup, b, false, [](int64_t, bool, bool) {});
        else if (setup->strict) render_strictly(*setup, kernel, b);
        else render(*setup, kernel, b);
        for (int i = 0; i < used; i++) solid_angle += b.omega_sum[i];
        if (photons) std::copy_n(b.total, used, photons + start);
    }
    return solid_angle;
}

}  // extern "C"
