// The amorphous background of a pixel, at its centre, and back from it to panel, sensor and incident beam.
#pragma once

#include "adjoint.h"

extern "C" {

// As `_AmorphousStructure` in slopes.py.
struct Amorphous {
    int64_t pieces;
    double scale;                         // photons per steradian and squared amplitude, of one source
    const double *points, *coefficients;  // (pieces + 1); (4, pieces): as physics/amorphous.py has them
};

}  // extern "C"

// Amplitude at sin(theta)/lambda, and its slope: 0 where the curve is held, beyond its ends and where it would be negative.
inline double amplitude_at(const Amorphous &a, double stol, double &slope) {
    const double within = clamp(stol, a.points[0], a.points[a.pieces]);
    const int64_t above = std::upper_bound(a.points, a.points + a.pieces, within) - a.points;
    const int64_t piece = std::max<int64_t>(above - 1, 0);
    const double length = a.points[piece + 1] - a.points[piece], u = (within - a.points[piece]) / length;
    const double *constant = a.coefficients + piece, *linear = constant + a.pieces, *square = linear + a.pieces;
    const double *cubic = square + a.pieces, value = ((*cubic * u + *square) * u + *linear) * u + *constant;
    slope = value > 0 && within == stol ? ((3 * *cubic * u + 2 * *square) * u + *linear) / length : 0;
    return std::max(value, 0.0);
}

// Add what depends on all ways of the background to the rows of the panel, the sensor and the incident beam.
inline void amorphous_back(const Setup &setup, const Amorphous &a, Block &b, Place &p, const Rows &rows) {
    alignas(64) double photons[LANES], uncaptured[LANES], unpolarized[LANES];
    Setup s = setup;
    s.oversample = 1;  // whose one sub-pixel is the centre
    for (double *ones : {b.capture, b.factor}) std::fill_n(ones, b.lanes, 1.0);
    double *wavelength = rows[WAVELENGTH], *turn = rows[TURN];
    for (int layer = 0; layer < s.layers; layer++) {
        aim(s, b, layer, 0, true);
        if (s.absorbing) absorb(s, b, layer);
        locate(s, b, layer, 0, p);
        for (double *zero : {photons, uncaptured}) std::fill_n(zero, b.lanes, 0.0);
        for (int source = 0; source < s.sources; source++) {
            polarize(s, b, source);
            const double *incident = s.incident + 3 * source, per_metre = 1.0 / s.wavelengths[source];
            for (int i = 0; i < b.lanes; i++) {
                const double x = b.d[0][i] - incident[0], y = b.d[1][i] - incident[1], z = b.d[2][i] - incident[2];
                const double sine = 0.5 * length_of(x, y, z), weight = s.weights[source] * a.scale * b.omega[i];
                double slope;
                const double electrons = amplitude_at(a, sine * per_metre, slope), bare = weight * square(electrons);
                photons[i] += bare * b.factor[i] * b.capture[i];
                uncaptured[i] += bare * b.factor[i], unpolarized[i] = bare * b.capture[i];
                const double steep = 2 * weight * electrons * slope * per_metre * b.factor[i] * b.capture[i];
                const double along = sine > 0 ? steep / (4 * sine) : 0;
                wavelength[i] -= steep * sine;
                p.d[0][i] += along * x, p.d[1][i] += along * y, p.d[2][i] += along * z;
                turn[i] -= along * (incident[1] * z - incident[2] * y);
                turn[LANES + i] -= along * (incident[2] * x - incident[0] * z);
                turn[2 * LANES + i] -= along * (incident[0] * y - incident[1] * x);
            }
            polarize_back(s, b, p, rows, source, unpolarized);
        }
        solid_angle_back(s, b, p, photons);
        absorb_back(s, b, p, rows, uncaptured);
        place_back(s, b, p, rows);
    }
}
