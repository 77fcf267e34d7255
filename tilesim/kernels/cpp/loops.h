// The loops around one orientation of one wave: pixels of a block, layers and sub-pixels, orientations of a grain.
#pragma once

#include <cmath>

#include "diffuse.h"
#include "rays.h"

constexpr int MATRIX = 9;

// Call `visit` with every orientation of a grain for one wave, spindle outermost, and its number among the evaluations
// of a pixel, which counts where there is one grain.
template <class Visit>
inline void for_orientations(const Setup &s, const Grain &g, int64_t group, bool unrotated_start, Visit visit) {
    double number = double(group * s.phi_steps * g.domains);
    for (int64_t step = 0; step < s.phi_steps; step++) {
        const double *turned = step == 0 && unrotated_start ? g.cell : g.turned + MATRIX * step;
        for (int64_t domain = 0; domain < g.domains; domain++) {
            const double *rotation = g.mosaic + MATRIX * (step * g.next_step + domain);
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

// The polarisation in use: that of the first wave that dmin accepts, kept from then on. True where all have one.
inline bool settle(Block &b) {
    double least = INFINITY;
#pragma omp simd reduction(min : least)
    for (int i = 0; i < b.lanes; i++) {
        const bool due = (b.polar[i] == 0) & (b.accepted[i] > 0);
        b.polar[i] = due ? b.factor[i] : b.polar[i];
        least = std::min(least, b.polar[i]);
    }
    return least > 0;
}

// Every sub-pixel of every layer: `visit` gets its number, whether it begins a layer and whether it ends one.
template <class Visit> inline void for_rays(const Setup &s, Block &b, bool simulate, Visit visit) {
    const int subs = int(s.oversample * s.oversample);
    for (int layer = 0; layer < s.layers; layer++) {
        for (int sub = 0; sub < subs; sub++) {
            aim(s, b, layer, sub, (layer == 0 && sub == 0) || s.oversample_omega);
#pragma omp simd
            for (int i = 0; i < b.lanes; i++) b.omega_sum[i] = (layer || sub ? b.omega_sum[i] : 0.0) + b.omega[i];
            if (!simulate) continue;
            if (s.absorbing && (sub == 0 || s.oversample_thick)) absorb(s, b, layer);
            visit(int64_t(layer) * subs + sub, sub == 0, sub == subs - 1);
        }
    }
}

// The block of this thread, for a setup of which nothing has been computed: factors that it has no use for are one.
inline Block &begin_blocks() {
    static thread_local Block own_block;
    Block &b = own_block;
    for (double *ones : {b.capture, b.factor, b.accepted}) std::fill_n(ones, LANES, 1.0);
    return b;
}

// The `used` pixels with these numbers as the lanes of a block; of `evaluations` each.
inline void take_pixels(const Setup &s, Block &b, const int64_t *numbers, int used, double evaluations) {
    const double width = double(s.width), per_width = 1.0 / width;  // the half outweighs what this rounds away
    b.lanes = (used + GROUP - 1) / GROUP * GROUP;
    for (int i = 0; i < used; i++) b.number[i] = double(numbers[i]);
    std::fill(b.number + used, b.number + b.lanes, b.number[used - 1]);
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        b.slow[i] = std::floor((b.number[i] + 0.5) * per_width);
        b.fast[i] = b.number[i] - b.slow[i] * width;
    }
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {  // also where this frame does not interpolate: others of the block may
        b.interpolated[i] = s.latch < 0 ? INFINITY : double(s.latch) - b.number[i] * evaluations;
    }
}
