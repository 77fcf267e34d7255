// The sum over a pixel on a CPU: what physics/intensity.py and physics/strict.py define, some hundred pixels at a time.
//
// Pixels are the lanes of vectors. A block of them fits the first-level cache, and everything else is looped over
// around it: layers, sub-pixels, sources, spindle steps and mosaic domains, in that order, so memory depends on none
// of them. Loops marked simd have no branches and no calls. T is the type of what follows the fraction of h, k, l.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "sums.h"
#include "truth.h"

namespace {

// Sum over all orientations of a grain for one wave.
void add_grain(const Setup &s, const Grain &g, const Kernel &kernel, Block &b, int64_t group, bool unrotated_start) {
    std::fill_n(b.sum, b.lanes, 0.0);
    if (is_dark(g, b)) return;
    for_orientations(s, g, group, unrotated_start, [&](const double *cell, double number) {
        kernel.add_orientation(s, g, cell, number, b);
        if (g.rotation_count) s.single ? add_diffuse<float>(s, g, cell, b) : add_diffuse<double>(s, g, cell, b);
    });
}

// Sum over all orientations of one wave, for every lane.
const double *sweep(const Setup &s, const Kernel &kernel, Block &b, int64_t group, bool unrotated_start) {
    if (s.grain_count == 1 && s.grains[0].weight == 1) {
        add_grain(s, s.grains[0], kernel, b, group, unrotated_start);
        return b.sum;
    }
    std::fill_n(b.weighted, b.lanes, 0.0);
    for (int64_t place = 0; place < s.grain_count; place++) {
        const double weight = s.grains[place].weight;
        add_grain(s, s.grains[place], kernel, b, group, unrotated_start);
#pragma omp simd
        for (int i = 0; i < b.lanes; i++) b.weighted[i] += b.sum[i] * weight;
    }
    return b.weighted;
}

// Strict only: I := (I + term) x factors for every orientation of one wave, I being `total`.
void running_product(const Setup &s, const Kernel &kernel, Block &b, int64_t group, bool unrotated_start) {
    const Grain &g = s.grains[0];
    for_orientations(s, g, group, unrotated_start, [&](const double *cell, double number) {
        std::fill_n(b.sum, b.lanes, 0.0);
        kernel.add_orientation(s, g, cell, number, b);
        kernel.find_visited(s, g, cell, b);
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

// Add one wave, weighted, to the `layer` of every lane.
void add_wave(const Setup &s, const Kernel &kernel, Block &b, double *layer, int64_t group, int source) {
    b.channel = s.channel_of[source];
    const double *sums = sweep(s, kernel, b, group, false), weight = s.weights[source];
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        double term = sums[i] * weight;
        term *= s.oversample_thick ? b.capture[i] : 1.0;
        term *= s.oversample_polar ? b.factor[i] : 1.0;
        term *= s.oversample_omega ? b.omega[i] : 1.0;
        layer[i] += b.accepted[i] > 0 ? term : 0.0;
    }
}

// Sums of a block for one frame.
struct FrameSums {
    alignas(64) double total[LANES], layer[LANES];
};

// What a frame has of its own while a block is rendered for several of them.
struct Frame {
    const Setup *setup;
    Kernel kernel;
    void *photons;
    FrameSums *sums;
    Taken *taken;
};

// Put photons into the type of `photons`, from `start` on.
void store(const Frame &f, const double *values, int64_t start, int used, bool narrow) {
    if (narrow) std::copy_n(values, used, static_cast<float *>(f.photons) + start);
    else std::copy_n(values, used, static_cast<double *>(f.photons) + start);
}

// Add what a layer captures to the total, and begin another.
void capture(const Setup &s, const Block &b, FrameSums &sums) {
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        sums.total[i] += s.oversample_thick ? sums.layer[i] : sums.layer[i] * b.capture[i];
        sums.layer[i] = 0.0;
    }
}

// The photons of one frame, once all has been summed, into its `total`.
void finish(const Frame &f, Block &b) {
    const Setup &s = *f.setup;
    const double scale = s.scale, background = s.background;
    double *total = f.sums->total;
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        double value = total[i] * scale;
        value *= s.oversample_polar ? 1.0 : b.polar[i];
        value *= s.oversample_omega ? 1.0 : b.first_omega[i];
        const double water = background * b.isotropic[i] * b.first_omega[i] * b.absorbed[i];
        total[i] = background > 0 ? value + water : value;
    }
}

// Photons of one frame where a pixel has one ray and one source, into its `total`: nothing has to be kept between them.
void render_at_once(const Frame &f, Block &b) {
    const Setup &s = *f.setup;
    const double *sums = sweep(s, f.kernel, b, 0, false), weight = s.weights[0] * s.scale, background = s.background;
    double *total = f.sums->total;
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        const double value = b.accepted[i] > 0 ? sums[i] * weight * b.capture[i] * b.factor[i] * b.omega[i] : 0.0;
        const double water = background * b.isotropic[i] * b.omega[i] * b.capture[i];
        total[i] = background > 0 ? value + water : value;
    }
}

// Photons of a block for some frames (intensity.photons); `done` is called with each of them when these are in the
// `total` of its sums. What is on the way to the sub-pixels is done once for all: they share panel, sensor, incident beam
// and sampling, where dmin rejects waves the wavelengths too.
template <class Done> void render(std::vector<Frame> &frames, Block &b, Done done) {
    const Setup &s = *frames[0].setup;
    const bool at_once = s.layers * s.oversample * s.oversample * s.sources == 1;
    const bool watery = std::any_of(frames.begin(), frames.end(), [](const Frame &f) { return f.setup->background > 0; });
    const auto clear = [&](double *sums, bool due) { if (due) std::fill_n(sums, b.lanes, 0.0); };
    clear(b.isotropic, watery), clear(b.absorbed, !at_once), clear(b.polar, !at_once);
    for (Frame &f : frames) clear(f.sums->total, !at_once), clear(f.sums->layer, !at_once);
    bool settled = false;
    for_rays(s, b, true, [&](int64_t ray, bool begins, bool ends) {
        if (ray == 0 && !at_once) std::copy_n(b.omega, b.lanes, b.first_omega);
        if (ray == 0 && watery) polarize_water(s, b);
#pragma omp simd
        for (int i = 0; i < (begins && !at_once ? b.lanes : 0); i++) b.absorbed[i] += b.capture[i];
        for (int source = 0; source < s.sources; source++) {
            if (!scatter(s, b, source) && !at_once) continue;
            if (s.oversample_polar || !settled) {
                polarize(s, b, source);
                if (!at_once) settled = settle(b);
            }
            double wavelength = s.wavelengths[source];
            for (Frame &f : frames) {
                if (f.setup->wavelengths[source] != wavelength) scatter(*f.setup, b, source);
                wavelength = f.setup->wavelengths[source];
                b.taken = f.taken;
                if (at_once) render_at_once(f, b), done(f);
                else add_wave(*f.setup, f.kernel, b, f.sums->layer, ray * s.sources + source, source);
            }
        }
        for (Frame &f : frames) if (ends && !at_once) capture(s, b, *f.sums);
    });
    for (Frame &f : frames) if (!at_once) finish(f, b), done(f);
}

// Photons of a block into `result` as the reference computes them (strict.strict_photons).
void render_strictly(const Setup &s, const Kernel &kernel, Block &b, double *result) {
    std::fill_n(b.total, b.lanes, s.background);
    std::fill_n(b.polar, b.lanes, s.polarizations ? 0.0 : 1.0);
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
                const double *sums = sweep(s, kernel, b, group, unrotated_start);
#pragma omp simd
                for (int i = 0; i < b.lanes; i++) b.total[i] += b.accepted[i] > 0 ? sums[i] : 0.0;
            }
            unrotated_start = false;
        }
    });
#pragma omp simd
    for (int i = 0; i < b.lanes; i++) {
        double total = b.total[i] * s.scale;
        total *= s.oversample_thick ? 1.0 : b.capture[i];
        total *= s.oversample_polar ? 1.0 : b.polar[i];
        result[i] = s.oversample_omega ? total : total * b.omega[i];
    }
}

}  // namespace

// Photons of the `count` pixels with these numbers (slow x width + fast) in each of some frames, which share what
// `render` says, into the arrays `photons` of floats (`narrow`) or doubles, unless that is null. Strictly there is one
// frame.
// Returns the sum of the solid angles in use in one of them; negative where `Setup` is not what this was compiled for.
extern "C" __attribute__((visibility("default")))
double tilesim_render(const Setup *const *setups, int64_t frame_count, int64_t count, const int64_t *numbers,
                      void *const *photons, int64_t narrow) {
    const Setup *setup = setups[0];
    if (setup->size != int64_t(sizeof(Setup))) return -1.0;
    Block &b = begin_blocks();
    std::vector<Frame> frames(photons ? frame_count : 0);
    std::vector<FrameSums> sums(frames.size());
    std::vector<Taken> takens;
    takens.reserve(frames.size());
    for (size_t place = 0; place < frames.size(); place++) {
        const Setup &s = *setups[place];
        frames[place].setup = &s;
        frames[place].kernel = s.single ? kernel_of<float>(s.shape) : kernel_of<double>(s.shape);
        frames[place].photons = photons[place];
        frames[place].sums = &sums[place];
        frames[place].taken = &takens.emplace_back(s);
    }
    const int64_t rays = setup->layers * setup->oversample * setup->oversample;
    const int64_t domains = setup->grain_count ? setup->grains[0].domains : 0;
    const double evaluations = double(rays * setup->sources * setup->phi_steps * domains);
    alignas(64) double solid_angles[GROUP] = {};
    for (int64_t start = 0; start < count; start += LANES) {
        const int used = int(std::min<int64_t>(LANES, count - start));
        take_pixels(*setup, b, numbers + start, used, evaluations);
        if (!photons) for_rays(*setup, b, false, [](int64_t, bool, bool) {});
        else if (setup->strict) render_strictly(*setup, frames[0].kernel, b, sums[0].total);
        else render(frames, b, [&](const Frame &f) { store(f, f.sums->total, start, used, narrow); });
        if (photons && setup->strict) store(frames[0], sums[0].total, start, used, narrow);
        std::fill(b.omega_sum + used, b.omega_sum + b.lanes, 0.0);
        for (int from = 0; from < b.lanes; from += GROUP) {
#pragma omp simd
            for (int i = 0; i < GROUP; i++) solid_angles[i] += b.omega_sum[from + i];
        }
    }
    return std::accumulate(solid_angles, solid_angles + GROUP, 0.0);
}

// Photons without background, mean wavelength (m) and mean Miller indices of the `count` pixels with these numbers into
// the rows of `truth` (MOMENTS, count). Negative where `Setup` is not what this was compiled for.
extern "C" __attribute__((visibility("default")))
double tilesim_truth(const Setup *setup, int64_t count, const int64_t *numbers, double *truth) {
    if (setup->size != int64_t(sizeof(Setup))) return -1.0;
    Block &block = begin_blocks();
    static thread_local Truth found;
    Taken taken(*setup);
    block.taken = &taken;
    const Kernel kernel = setup->single ? kernel_of<float>(setup->shape) : kernel_of<double>(setup->shape);
    for (int64_t start = 0; start < count; start += LANES) {
        const int used = int(std::min<int64_t>(LANES, count - start));
        take_pixels(*setup, block, numbers + start, used, 0);
        render_truth(*setup, kernel, block, found);
        for (int row = 0; row < MOMENTS; row++) std::copy_n(found.total[row], used, truth + row * count + start);
    }
    return 0.0;
}

// Sums over `count` pixels.
extern "C" __attribute__((visibility("default")))
void tilesim_sums(const float *values, int64_t count, PixelSums *found) { sum_pixels(values, count, *found); }
