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
    alignas(64) double slow[LANES], fast[LANES], close[LANES];  // metres on the panel; one over the length from the sample
    alignas(64) double flat[2][LANES];                          // laboratory y and z of a curved detector's arcs
    alignas(64) double d[3][LANES], along[LANES];               // slopes of the sum with direction and length
    int layer, sub;
};

struct Rows {
    double *data;  // (rows, LANES)
    double *operator[](int row) const { return data + int64_t(row) * LANES; }
};

// The way to a sub-pixel, as `aim` goes, with nothing depending on it yet.
inline void locate(const Setup &s, const Block &b, int layer, int sub, Place &p) {
    const int n = int(s.oversample);
    const double edge = s.pixel_size / n, depth = layer * s.layer_thickness, on_slow = sub / n, on_fast = sub % n;
    double base[3];
    for (int i = 0; i < 3; i++) base[i] = s.origin[i] + depth * s.normal[i];
    p.layer = layer, p.sub = sub;
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double slow = edge * (b.slow[i] * n + on_slow) + edge / 2.0;
        const double fast = edge * (b.fast[i] * n + on_fast) + edge / 2.0;
        const double x = fast * s.fast[0] + slow * s.slow[0] + base[0];
        const double y = fast * s.fast[1] + slow * s.slow[1] + base[1];
        const double z = fast * s.fast[2] + slow * s.slow[2] + base[2];
        p.slow[i] = slow, p.fast[i] = fast, p.flat[0][i] = y, p.flat[1][i] = z;
        p.close[i] = 1.0 / length_of(x, y, z);
        p.d[0][i] = 0, p.d[1][i] = 0, p.d[2][i] = 0, p.along[i] = 0;
    }
    for (int i = 0; s.curved && i < b.lanes; i++) {
        double r[3] = {s.curved_radius * s.beam[0], s.curved_radius * s.beam[1], s.curved_radius * s.beam[2]};
        rotate_about(r, s.slow, p.flat[0][i] / s.curved_radius);
        rotate_about(r, s.fast, p.flat[1][i] / s.curved_radius);
        p.close[i] = 1.0 / length_of(r[0], r[1], r[2]);
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
        const double dx = b.d[0][i], dy = b.d[1][i], dz = b.d[2][i], close = p.close[i];
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
            const double across = (p.d[axis][i] - radial * b.d[axis][i]) * p.close[i];
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
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) p.along[i] += power * photons[i] * p.close[i];
}

// Back through `absorb`, `uncaptured` being the slope with the capture fraction.
inline void absorb_back(const Setup &s, const Block &b, Place &p, const Rows &rows, const double *uncaptured) {
    if (!s.absorbing) return;
    const double optical = s.layer_thickness * s.attenuation, front = -p.layer * optical, back = front - optical;
    const double above = p.layer, below = p.layer + 1;
    double *absorbed = rows[ABSORBED], *normal = rows[NORMAL];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double x = b.d[0][i], y = b.d[1][i], z = b.d[2][i], path = 1.0 / dot(s.normal, x, y, z);
        const double before = exponential<double>(front * path), after = exponential<double>(back * path);
        const double with_parallax = -(front * before - back * after) * path * path * uncaptured[i];
        absorbed[i] += (below * after - above * before) * path * uncaptured[i];
        p.d[0][i] += with_parallax * s.normal[0], normal[i] += with_parallax * x;
        p.d[1][i] += with_parallax * s.normal[1], normal[LANES + i] += with_parallax * y;
        p.d[2][i] += with_parallax * s.normal[2], normal[2 * LANES + i] += with_parallax * z;
    }
}

// The incident beam of a source with the directions of its fields.
struct Fields {
    double beam[3], magnetic[3], electric[3], sine;

    Fields(const double *incident, const double *axis) {
        std::copy_n(incident, 3, beam);
        unit(beam);
        cross(axis, beam, magnetic);
        sine = length_of(magnetic[0], magnetic[1], magnetic[2]);
        unit(magnetic);
        cross(beam, magnetic, electric);
        unit(electric);
    }
};

// Linear maps from the slopes with i, E and B to those with a rotation of the beam and with the axis, row by row.
struct FieldMaps {
    double turn[3][9], axis[3][9];

    FieldMaps(const Fields &f, const double *incident, const double *field) {
        for (int from = 0; from < 3; from++) {
            for (int column = 0; column < 3; column++) {
                double with[3][3] = {}, lever[3], with_axis[3];
                double *with_beam = with[0], *with_electric = with[1], *with_magnetic = with[2];
                with[from][column] = 1;
                cross(f.magnetic, with_electric, lever);  // E = i x B
                for (int j = 0; j < 3; j++) with_beam[j] += lever[j];
                cross(with_electric, f.beam, lever);
                for (int j = 0; j < 3; j++) with_magnetic[j] += lever[j];
                const double along = dot(f.magnetic, with_magnetic[0], with_magnetic[1], with_magnetic[2]);
                for (int j = 0; j < 3; j++) {
                    with_magnetic[j] = f.sine > 0 ? (with_magnetic[j] - along * f.magnetic[j]) / f.sine : 0;
                }
                cross(f.beam, with_magnetic, with_axis);  // B along axis x i
                cross(with_magnetic, field, lever);
                for (int j = 0; j < 3; j++) with_beam[j] += lever[j];
                cross(incident, with_beam, lever);
                for (int j = 0; j < 3; j++) turn[from][3 * j + column] = lever[j], axis[from][3 * j + column] = with_axis[j];
            }
        }
    }
};

// Back through `polarize` for one source, as P = (1 + c^2 - K ((d.E)^2 - (d.B)^2)) / 2; `unpolarized` is the slope with P.
inline void polarize_back(const Setup &s, const Block &b, Place &p, const Rows &rows, int source, const double *unpolarized) {
    if (!s.polarizations) return;
    const double *incident = s.incident + 3 * source, *own = s.polarization + (s.polarizations > 1 ? 4 * source : 0);
    const double k = own[0];
    const Fields f(incident, own + 1);
    const FieldMaps maps(f, incident, own + 1);
    const double *from_beam = maps.turn[0], *from_electric = maps.turn[1], *from_magnetic = maps.turn[2];
    const double *axis_electric = maps.axis[1], *axis_magnetic = maps.axis[2];
    double *kahn = rows[KAHN], *turn = rows[TURN], *axis = rows[AXIS];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double x = b.d[0][i], y = b.d[1][i], z = b.d[2][i], due = unpolarized[i];
        const double c = dot(f.beam, x, y, z), m = dot(f.magnetic, x, y, z), e = dot(f.electric, x, y, z);
        const double by_beam = due * c, by_electric = -due * k * e, by_magnetic = due * k * m;
        p.d[0][i] += by_beam * f.beam[0] + by_electric * f.electric[0] + by_magnetic * f.magnetic[0];
        p.d[1][i] += by_beam * f.beam[1] + by_electric * f.electric[1] + by_magnetic * f.magnetic[1];
        p.d[2][i] += by_beam * f.beam[2] + by_electric * f.electric[2] + by_magnetic * f.magnetic[2];
        kahn[i] += -0.5 * due * (e * e - m * m);
        turn[i] += by_beam * dot(from_beam, x, y, z) + by_electric * dot(from_electric, x, y, z) +
                   by_magnetic * dot(from_magnetic, x, y, z);
        turn[LANES + i] += by_beam * dot(from_beam + 3, x, y, z) + by_electric * dot(from_electric + 3, x, y, z) +
                           by_magnetic * dot(from_magnetic + 3, x, y, z);
        turn[2 * LANES + i] += by_beam * dot(from_beam + 6, x, y, z) + by_electric * dot(from_electric + 6, x, y, z) +
                               by_magnetic * dot(from_magnetic + 6, x, y, z);
        axis[i] += by_electric * dot(axis_electric, x, y, z) + by_magnetic * dot(axis_magnetic, x, y, z);
        axis[LANES + i] += by_electric * dot(axis_electric + 3, x, y, z) + by_magnetic * dot(axis_magnetic + 3, x, y, z);
        axis[2 * LANES + i] += by_electric * dot(axis_electric + 6, x, y, z) + by_magnetic * dot(axis_magnetic + 6, x, y, z);
    }
}
