// What the photons of a pixel are of: their mean wavelength and Miller indices, as physics/truth.py defines them.
#pragma once

#include "loops.h"

constexpr int MOMENTS = 5;  // photons, wavelength, h, k, l

struct Truth {
    alignas(64) double wave[3][LANES];         // h, k, l times photons, over all orientations of one wave
    alignas(64) double layer[MOMENTS][LANES];  // photons, and all else times photons
    alignas(64) double total[MOMENTS][LANES];
};

// Sum over all orientations of one wave into `weighted`, and the same times the nearest node into `wave`.
inline void sweep_truth(const Setup &s, const Kernel &kernel, Block &b, Truth &t, int64_t group) {
    std::fill_n(b.weighted, b.lanes, 0.0);
    for (double *sums : t.wave) std::fill_n(sums, b.lanes, 0.0);
    for (int64_t place = 0; place < s.grain_count; place++) {
        const Grain &g = s.grains[place];
        if (is_dark(g, b)) continue;
        for_orientations(s, g, group, false, [&](const double *cell, double number) {
            std::fill_n(b.sum, b.lanes, 0.0);
            kernel.add_orientation(s, g, cell, number, b);
            if (g.rotation_count) s.single ? add_diffuse<float>(s, g, cell, b) : add_diffuse<double>(s, g, cell, b);
            if (std::all_of(b.sum, b.sum + b.lanes, [](double value) { return value == 0; })) return;
#pragma omp simd
            for (int i = 0; i < b.lanes; i++) {
                const Lane p = lane_at(cell, b.x[i], b.y[i], b.z[i]);
                const double value = b.sum[i] * g.weight;
                b.weighted[i] += value;
                t.wave[0][i] += value * p.h0, t.wave[1][i] += value * p.k0, t.wave[2][i] += value * p.l0;
            }
        });
    }
}

// Photons of a block without background, and their means, into `total`.
inline void render_truth(const Setup &s, const Kernel &kernel, Block &b, Truth &t) {
    std::fill_n(b.polar, b.lanes, 0.0);
    for (double *sums : t.total) std::fill_n(sums, b.lanes, 0.0);
    for (double *sums : t.layer) std::fill_n(sums, b.lanes, 0.0);
    for_rays(s, b, true, [&](int64_t ray, bool, bool ends) {
        if (ray == 0) std::copy_n(b.omega, b.lanes, b.first_omega);
        for (int source = 0; source < s.sources; source++) {
            if (!scatter(s, b, source)) continue;
            polarize(s, b, source);
            settle(b);
            sweep_truth(s, kernel, b, t, ray * s.sources + source);
            const double weight = s.weights[source], wavelength = s.wavelengths[source];
#pragma omp simd
            for (int i = 0; i < b.lanes; i++) {
                double due = b.accepted[i] > 0 ? weight : 0.0;
                due *= s.oversample_thick ? b.capture[i] : 1.0;
                due *= s.oversample_polar ? b.factor[i] : 1.0;
                due *= s.oversample_omega ? b.omega[i] : 1.0;
                t.layer[0][i] += b.weighted[i] * due, t.layer[1][i] += b.weighted[i] * due * wavelength;
                for (int axis = 0; axis < 3; axis++) t.layer[2 + axis][i] += t.wave[axis][i] * due;
            }
        }
        for (int row = 0; ends && row < MOMENTS; row++) {
#pragma omp simd
            for (int i = 0; i < b.lanes; i++) {
                t.total[row][i] += s.oversample_thick ? t.layer[row][i] : t.layer[row][i] * b.capture[i];
                t.layer[row][i] = 0;
            }
        }
    });
    for (int i = 0; i < b.lanes; i++) {
        const double photons = t.total[0][i];
        for (int row = 1; row < MOMENTS; row++) t.total[row][i] = photons > 0 ? t.total[row][i] / photons : NAN;
        t.total[0][i] *= s.scale * (s.oversample_polar ? 1.0 : b.polar[i]) * (s.oversample_omega ? 1.0 : b.first_omega[i]);
    }
}
