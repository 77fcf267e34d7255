// What the fused kernel is told of an experiment.
#pragma once

#include <cstdint>

enum Shape { SQUARE, ROUND, GAUSS, TOPHAT, GAUSS_HKL, TOPHAT_HKL };

extern "C" {

// Mosaic domains of one lattice and one size, as `_GrainStructure` in fused.py.
struct Grain {
    int64_t domains, next_step;  // rotations of one spindle step, and to the next step's; zero where all share them
    int64_t rotation_count, stencil;  // of diffuse scattering, as in physics/diffuse.py; no rotations: none
    double gamma[3], sigma[3], diffuse_height;
    double outermost;  // squared length of scattering vectors, 1/m^2, from which all amplitudes are zero
    double cells[3], matrix[9], volume, fudge, reach, reciprocal[9], weight;
    const double *cell, *turned, *mosaic;  // (3, 3), (phi, 3, 3), (1 or phi, domains, 3, 3)
    const double *rotations, *star;        // (rotations, 3, 3); (3, 3) a*, b*, c* as columns, null: in the laboratory
};

// As `_SetupStructure` in fused.py. Lengths in metres, angles in radians; vectors are x, y, z; matrices are rows a, b, c.
struct Setup {
    int64_t size;  // of this struct in bytes, to be sure that both sides mean the same
    int64_t width, shape, single, interpolate, skip;
    int64_t layers, oversample, sources, phi_steps, grain_count;
    int64_t point_pixel, curved, absorbing, polarizations, oversample_thick, oversample_polar, oversample_omega;
    int64_t strict, unrotated_start, latch;  // as in physics/strict.py; latch < 0: none
    int64_t entries, parts_mixed;  // of a table, which there is for each channel; or parts of which amplitudes are mixed
    double lowest[3], highest[3], rows, length, entry;                            // table
    double origin[3], fast[3], slow[3], normal[3], beam[3];                       // panel
    double pixel_size, close_distance, curved_radius, layer_thickness, attenuation;
    double dmin, background, scale;
    const double *incident, *wavelengths, *weights;                               // per source
    const double *polarization;  // (polarizations, 4) Kahn factor and field: per source, one for all, or none
    const int64_t *channel_of;                                                    // per source
    const double *values;                                                         // (channel, entry) amplitudes
    const void *squares;                                                          // their squares, of type T
    const void *parts;                                                            // (entry, part, 2) of type T
    const double *mixture;                                                        // (channel, part, 2)
    const Grain *grains;
};

}  // extern "C"
