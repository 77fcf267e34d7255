// The way to one sub-pixel and on to scattering vectors: physics/geometry.py, absorb.py and polarize.py.
#pragma once

#include "orientation.h"

struct Vector { double x, y, z; };

inline double length_of(double x, double y, double z) { return std::sqrt(x * x + y * y + z * z); }

inline void unit(double *v) {
    const double length = length_of(v[0], v[1], v[2]), inverse = length > 0 ? 1.0 / length : 1.0;
    for (int i = 0; i < 3; i++) v[i] *= inverse;
}

inline void cross(const double *u, const double *v, double *w) {
    w[0] = u[1] * v[2] - u[2] * v[1], w[1] = u[2] * v[0] - u[0] * v[2], w[2] = u[0] * v[1] - u[1] * v[0];
}

// v turned about `axis`, taken as it is.
inline void rotate_about(double *v, const double *axis, double angle) {
    const double c = std::cos(angle), s = std::sin(angle), along = dot(axis, v[0], v[1], v[2]) * (1.0 - c);
    double side[3];
    cross(axis, v, side);
    for (int i = 0; i < 3; i++) v[i] = v[i] * c + axis[i] * along + side[i] * s;
}

// Where a sub-pixel is on a flat panel, at one depth: the place of that of pixel (0, 0), and the ways to the next pixels.
struct Spot {
    double base[3], fast[3], slow[3];

    Spot(const Setup &s, int layer, int sub) {
        const int n = int(s.oversample);
        const double edge = s.pixel_size / n, down = edge * (sub / n) + edge / 2.0, along = edge * (sub % n) + edge / 2.0;
        for (int i = 0; i < 3; i++) {
            base[i] = s.origin[i] + layer * s.layer_thickness * s.normal[i] + along * s.fast[i] + down * s.slow[i];
            fast[i] = s.pixel_size * s.fast[i], slow[i] = s.pixel_size * s.slow[i];
        }
    }

    Vector position(double down, double along) const {
        return {along * fast[0] + down * slow[0] + base[0], along * fast[1] + down * slow[1] + base[1],
                along * fast[2] + down * slow[2] + base[2]};
    }
};

// Unit vectors to one sub-pixel at one depth, and its solid angle where `omega` is due.
void aim(const Setup &s, Block &b, int layer, int sub, bool omega) {
    const Spot spot(s, layer, sub);
    // All that is chosen between is of one type and at hand, for the sake of vectors.
    const double fresh = omega, flat = !s.curved, point = double(s.point_pixel);
    const double area = s.pixel_size * s.pixel_size, close_distance = s.close_distance;
    // The laboratory y and z of the flat position are arc lengths on the reference's curved detector.
    for (int i = 0; s.curved && i < b.lanes; i++) {
        const Vector p = spot.position(b.slow[i], b.fast[i]);
        double v[3] = {s.curved_radius * s.beam[0], s.curved_radius * s.beam[1], s.curved_radius * s.beam[2]};
        rotate_about(v, s.slow, p.y / s.curved_radius);
        rotate_about(v, s.fast, p.z / s.curved_radius);
        for (int axis = 0; axis < 3; axis++) b.d[axis][i] = v[axis];
    }
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const Vector p = spot.position(b.slow[i], b.fast[i]);
        const double x = flat > 0 ? p.x : b.d[0][i], y = flat > 0 ? p.y : b.d[1][i], z = flat > 0 ? p.z : b.d[2][i];
        const double closeness = inverse_root(x * x + y * y + z * z), sphere = closeness * closeness;
        b.d[0][i] = x * closeness, b.d[1][i] = y * closeness, b.d[2][i] = z * closeness;
        const double due = point > 0 ? sphere : area * sphere * close_distance * closeness;
        b.omega[i] = fresh > 0 ? due : b.omega[i];
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

// Scattering vectors of one source, whose channel becomes that of the block; false where dmin rejects every lane.
bool scatter(const Setup &s, Block &b, int source) {
    b.channel = s.channel_of[source];
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

// Kahn's polarisation factor of one source into `factor`.
void polarize(const Setup &s, Block &b, int source) {
    if (!s.polarizations) return;
    const double *incident = s.incident + 3 * source, *own = s.polarization + (s.polarizations > 1 ? 4 * source : 0);
    const double kahn_factor = own[0], *axis = own + 1;
    double beam[3] = {incident[0], incident[1], incident[2]}, magnetic[3], electric[3];
    unit(beam);
    cross(axis, beam, magnetic);
    unit(magnetic);
    cross(beam, magnetic, electric);
    // cos 2 psi sin^2 2 theta is e^2 - m^2, the components of the unit vector d along the fields; e^2 + m^2 is sin^2 2 theta.
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double x = b.d[0][i], y = b.d[1][i], z = b.d[2][i];
        const double cosines = square(dot(beam, x, y, z));
        const double sines = 1.0 - cosines, e = square(dot(electric, x, y, z));
        b.factor[i] = 0.5 * (1.0 + cosines - kahn_factor * (2.0 * e - sines));
    }
}

// The polarisation of the background into `isotropic`, which is 0: that of the first source, or the mean over unlike ones.
inline void polarize_water(const Setup &s, Block &b) {
    const int64_t count = s.polarizations > 1 ? s.sources : 1;
    for (int source = 0; source < count; source++) {
        polarize(s, b, source);
        const double weight = count > 1 ? s.weights[source] : 1.0;
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) b.isotropic[i] += b.factor[i] * weight;
    }
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) b.isotropic[i] /= double(count);
}
