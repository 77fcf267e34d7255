// The way to one sub-pixel and on to scattering vectors: physics/geometry.py, absorb.py and polarize.py.
#pragma once

#include "orientation.h"

inline double length_of(double x, double y, double z) { return std::sqrt(x * x + y * y + z * z); }

inline void unit(double *v) {
    const double length = length_of(v[0], v[1], v[2]);
    for (int i = 0; i < 3; i++) v[i] = length > 0 ? v[i] / length : v[i];
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
    unit(electric);
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double x = b.d[0][i], y = b.d[1][i], z = b.d[2][i];
        const double cosines = square(dot(beam, x, y, z));
        const double m = square(dot(magnetic, x, y, z)), e = square(dot(electric, x, y, z)), both = m + e;
        const double cos_2psi = both > 0 ? (e - m) / (both > 0 ? both : 1.0) : 1.0;
        const double kahn = 0.5 * (1.0 + cosines - kahn_factor * cos_2psi * (1.0 - cosines));
        b.factor[i] = kahn;
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
