// From what a pixel's sum depends on at one sub-pixel back to the panel, the sensor, the incident beam.
#pragma once

#include "loops.h"

// Rows of what is found for every pixel; then come those of each crystal.
enum SharedRow {
    PHOTONS, WATER, ORIGIN, FAST = ORIGIN + 3, SLOW = FAST + 3, NORMAL = SLOW + 3, DEPTH = NORMAL + 3, ABSORBED,
    WAVELENGTH, TURN, KAHN = TURN + 3, AXIS, RADIUS = AXIS + 3, CENTRE, BENT_FAST = CENTRE + 3, BENT_SLOW = BENT_FAST + 3,
    SHARED_ROWS = BENT_SLOW + 3
};

struct Place {
    alignas(64) double slow[LANES], fast[LANES], length[LANES];  // metres on the panel; from the sample
    alignas(64) double flat[2][LANES];                           // laboratory y and z of a curved detector's arcs
    alignas(64) double d[3][LANES], along[LANES];                // slopes of the sum with direction and length
    int layer;
};

struct Rows {
    double *data;  // (rows, LANES)
    double *operator[](int row) const { return data + int64_t(row) * LANES; }
};

// The way to a sub-pixel, as `aim` goes, with nothing depending on it yet.
inline void locate(const Setup &s, const Block &b, int layer, int sub, Place &p) {
    const int n = int(s.oversample);
    const double edge = s.pixel_size / n, depth = layer * s.layer_thickness;
    p.layer = layer;
    for (int i = 0; i < b.lanes; i++) {
        p.slow[i] = edge * (b.slow[i] * n + sub / n) + edge / 2.0;
        p.fast[i] = edge * (b.fast[i] * n + sub % n) + edge / 2.0;
        double r[3];
        for (int axis = 0; axis < 3; axis++) {
            r[axis] = p.fast[i] * s.fast[axis] + p.slow[i] * s.slow[axis] + s.origin[axis] + depth * s.normal[axis];
            p.d[axis][i] = 0;
        }
        p.flat[0][i] = r[1], p.flat[1][i] = r[2], p.along[i] = 0;
        if (s.curved) {
            for (int axis = 0; axis < 3; axis++) r[axis] = s.curved_radius * s.beam[axis];
            rotate_about(r, s.slow, p.flat[0][i] / s.curved_radius);
            rotate_about(r, s.fast, p.flat[1][i] / s.curved_radius);
        }
        p.length[i] = length_of(r[0], r[1], r[2]);
    }
}

// Back through `rotate_about`: of the slopes with the turned vector make those with v; add those with axis and angle.
inline void unrotate(const double *v, const double *axis, double angle, double *slope, double *with_axis, double &with_angle) {
    const double c = std::cos(angle), s = std::sin(angle);
    const double on_v = dot(axis, v[0], v[1], v[2]), on_slope = dot(axis, slope[0], slope[1], slope[2]);
    double side[3], lever[3], back[3];
    cross(axis, v, side), cross(v, slope, lever), cross(slope, axis, back);
    with_angle = 0;
    for (int i = 0; i < 3; i++) with_angle += slope[i] * ((axis[i] * on_v - v[i]) * s + side[i] * c);
    for (int i = 0; i < 3; i++) {
        with_axis[i] = (on_v * slope[i] + v[i] * on_slope) * (1 - c) + s * lever[i];
        slope[i] = slope[i] * c + axis[i] * on_slope * (1 - c) + s * back[i];
    }
}

// Back through the curved detector: slopes with the position become those with the flat one.
inline void uncurve(const Setup &s, const Place &p, const Rows &rows, int lane, double *slope) {
    const double radius = s.curved_radius, first = p.flat[0][lane] / radius, second = p.flat[1][lane] / radius;
    double centre[3], between[3], with_fast[3], with_slow[3], on_first, on_second;
    for (int i = 0; i < 3; i++) between[i] = centre[i] = radius * s.beam[i];
    rotate_about(between, s.slow, first);
    unrotate(between, s.fast, second, slope, with_fast, on_second);
    unrotate(centre, s.slow, first, slope, with_slow, on_first);
    for (int i = 0; i < 3; i++) {
        rows[BENT_FAST + i][lane] += with_fast[i], rows[BENT_SLOW + i][lane] += with_slow[i];
        rows[CENTRE + i][lane] += radius * slope[i];
    }
    rows[RADIUS][lane] += dot(s.beam, slope[0], slope[1], slope[2]) - (first * on_first + second * on_second) / radius;
    slope[0] = 0, slope[1] = on_first / radius, slope[2] = on_second / radius;
}

inline void place_back_flat(const Setup &s, const Block &b, const Place &p, const Rows &rows, double depth) {
    double *origin = rows[ORIGIN], *fast = rows[FAST], *slow = rows[SLOW], *normal = rows[NORMAL], *deep = rows[DEPTH];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double dx = b.d[0][i], dy = b.d[1][i], dz = b.d[2][i], close = 1.0 / p.length[i];
        const double radial = p.d[0][i] * dx + p.d[1][i] * dy + p.d[2][i] * dz, along = p.along[i] - radial * close;
        const double x = p.d[0][i] * close + along * dx, y = p.d[1][i] * close + along * dy;
        const double z = p.d[2][i] * close + along * dz;
        origin[i] += x, origin[LANES + i] += y, origin[2 * LANES + i] += z;
        fast[i] += p.fast[i] * x, fast[LANES + i] += p.fast[i] * y, fast[2 * LANES + i] += p.fast[i] * z;
        slow[i] += p.slow[i] * x, slow[LANES + i] += p.slow[i] * y, slow[2 * LANES + i] += p.slow[i] * z;
        normal[i] += depth * x, normal[LANES + i] += depth * y, normal[2 * LANES + i] += depth * z;
        deep[i] += p.layer * dot(s.normal, x, y, z);
    }
}

// Add what depends on direction and length of the way to a sub-pixel to the rows of the panel.
inline void place_back(const Setup &s, const Block &b, const Place &p, const Rows &rows) {
    const double depth = p.layer * s.layer_thickness;
    if (!s.curved) return place_back_flat(s, b, p, rows, depth);
    for (int i = 0; i < b.lanes; i++) {
        double slope[3];
        const double radial = p.d[0][i] * b.d[0][i] + p.d[1][i] * b.d[1][i] + p.d[2][i] * b.d[2][i];
        for (int axis = 0; axis < 3; axis++) {
            const double across = (p.d[axis][i] - radial * b.d[axis][i]) / p.length[i];
            slope[axis] = across + p.along[i] * b.d[axis][i];
        }
        uncurve(s, p, rows, i, slope);
        for (int axis = 0; axis < 3; axis++) {
            rows[ORIGIN + axis][i] += slope[axis], rows[NORMAL + axis][i] += depth * slope[axis];
            rows[FAST + axis][i] += p.fast[i] * slope[axis], rows[SLOW + axis][i] += p.slow[i] * slope[axis];
        }
        rows[DEPTH][i] += p.layer * dot(s.normal, slope[0], slope[1], slope[2]);
    }
}

// The solid angle follows the length; `photons` are in proportion to it. Pixel size and distance are the host's.
inline void solid_angle_back(const Setup &s, const Block &b, Place &p, const double *photons) {
    const double power = s.point_pixel ? -2.0 : -3.0;
    for (int i = 0; i < b.lanes; i++) p.along[i] += power * photons[i] / p.length[i];
}

// Back through `absorb`, `uncaptured` being the slope with the capture fraction.
inline void absorb_back(const Setup &s, const Block &b, Place &p, const Rows &rows, const double *uncaptured) {
    if (!s.absorbing) return;
    const double optical = s.layer_thickness * s.attenuation, front = -p.layer * optical, back = front - optical;
    for (int i = 0; i < b.lanes; i++) {
        const double parallax = dot(s.normal, b.d[0][i], b.d[1][i], b.d[2][i]), path = 1.0 / parallax;
        const double before = std::exp(front * path), after = std::exp(back * path);
        const double with_parallax = -(front * before - back * after) * path * path * uncaptured[i];
        rows[ABSORBED][i] += ((p.layer + 1) * after - p.layer * before) * path * uncaptured[i];
        for (int axis = 0; axis < 3; axis++) {
            p.d[axis][i] += with_parallax * s.normal[axis], rows[NORMAL + axis][i] += with_parallax * b.d[axis][i];
        }
    }
}

// Back through `polarize` for one source, as P = (1 + c^2 - K ((d.E)^2 - (d.B)^2)) / 2; `unpolarized` is the slope with P.
inline void polarize_back(const Setup &s, const Block &b, Place &p, const Rows &rows, int source, const double *unpolarized) {
    if (!s.polarizations) return;
    const double kahn_factor = s.polarization[0], *axis = s.polarization + 1;
    const double *incident = s.incident + 3 * source;
    double beam[3] = {incident[0], incident[1], incident[2]}, magnetic[3], electric[3];
    unit(beam);
    cross(axis, beam, magnetic);
    const double sine = length_of(magnetic[0], magnetic[1], magnetic[2]);
    unit(magnetic);
    cross(beam, magnetic, electric);
    unit(electric);
    for (int i = 0; i < b.lanes; i++) {
        const double d[3] = {b.d[0][i], b.d[1][i], b.d[2][i]}, due = unpolarized[i], k = kahn_factor;
        const double c = dot(beam, d[0], d[1], d[2]), m = dot(magnetic, d[0], d[1], d[2]), e = dot(electric, d[0], d[1], d[2]);
        double with_beam[3], with_magnetic[3], with_electric[3], lever[3], with_axis[3];
        for (int j = 0; j < 3; j++) {
            p.d[j][i] += due * (c * beam[j] - k * (e * electric[j] - m * magnetic[j]));
            with_beam[j] = due * c * d[j], with_electric[j] = -due * k * e * d[j], with_magnetic[j] = due * k * m * d[j];
        }
        rows[KAHN][i] += -0.5 * due * (e * e - m * m);
        cross(magnetic, with_electric, lever);  // E = i x B
        for (int j = 0; j < 3; j++) with_beam[j] += lever[j];
        cross(with_electric, beam, lever);
        for (int j = 0; j < 3; j++) with_magnetic[j] += lever[j];
        const double along = dot(magnetic, with_magnetic[0], with_magnetic[1], with_magnetic[2]);
        for (int j = 0; j < 3; j++) with_magnetic[j] = sine > 0 ? (with_magnetic[j] - along * magnetic[j]) / sine : 0;
        cross(beam, with_magnetic, with_axis);  // B along axis x i
        cross(with_magnetic, axis, lever);
        for (int j = 0; j < 3; j++) with_beam[j] += lever[j], rows[AXIS + j][i] += with_axis[j];
        cross(incident, with_beam, lever);
        for (int j = 0; j < 3; j++) rows[TURN + j][i] += lever[j];
    }
}
