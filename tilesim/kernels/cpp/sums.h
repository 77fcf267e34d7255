// Sums over pixels, as kernels/sums.py finds them; in lanes side by side.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

constexpr int SUM_LANES = 16;
constexpr int64_t SUM_ROWS = 1 << 24;  // of lanes, at most: the counts of each are short

extern "C" {

// As `_SumsStructure` in fused.py.
struct PixelSums {
    double mean, deviation, squares, maximum;
    int64_t brightest, not_finite, negative;  // brightest: the first pixel that has the maximum, -1 where none is above 0
};

}  // extern "C"

struct LaneSums {
    alignas(64) double sum[SUM_LANES], squares[SUM_LANES];
    alignas(64) float top[SUM_LANES];
    alignas(64) int32_t finite[SUM_LANES], negative[SUM_LANES];
};

// Add a row of pixels to the sums of the lanes: LANES of them, or as many as are left.
template <int LANES> inline void add_row(const float *row, int left, LaneSums &to) {
#pragma omp simd
    for (int j = 0; j < (LANES ? LANES : left); j++) {
        const float value = row[j], square = value * value;
        to.sum[j] += double(value), to.squares[j] += double(square);
        to.top[j] = value > to.top[j] ? value : to.top[j];
        to.finite[j] += std::fabs(value) < INFINITY, to.negative[j] += value < 0;
    }
}

template <int LANES> inline void add_deviations(const float *row, int left, double mean, double *to) {
#pragma omp simd
    for (int j = 0; j < (LANES ? LANES : left); j++) {
        const double off = double(row[j]) - mean;
        to[j] += off * off;
    }
}

template <class T> inline double in_order(const T *lanes) {
    double sum = 0;
    for (int j = 0; j < SUM_LANES; j++) sum += double(lanes[j]);
    return sum;
}

// Place of the first pixel of this value.
inline int64_t find_first(const float *values, int64_t count, float wanted) {
    constexpr int MANY = 64;
    for (int64_t start = 0; start + MANY <= count; start += MANY) {
        int found = 0;
#pragma omp simd reduction(| : found)
        for (int j = 0; j < MANY; j++) found |= values[start + j] == wanted;
        if (found) return std::find(values + start, values + start + MANY, wanted) - values;
    }
    return std::find(values + count / MANY * MANY, values + count, wanted) - values;
}

inline void sum_pixels(const float *values, int64_t count, PixelSums &found) {
    LaneSums sums = {};
    const int64_t whole = count / SUM_LANES * SUM_LANES;
    const int left = int(count - whole);
    double finite = 0, negative = 0;
    for (int64_t start = 0; start < whole; start += SUM_ROWS * SUM_LANES) {
        std::fill_n(sums.finite, SUM_LANES, 0), std::fill_n(sums.negative, SUM_LANES, 0);
        const int64_t stop = std::min(start + SUM_ROWS * SUM_LANES, whole);
        for (int64_t i = start; i < stop; i += SUM_LANES) add_row<SUM_LANES>(values + i, 0, sums);
        finite += in_order(sums.finite), negative += in_order(sums.negative);
    }
    std::fill_n(sums.finite, SUM_LANES, 0), std::fill_n(sums.negative, SUM_LANES, 0);
    add_row<0>(values + whole, left, sums);
    finite += in_order(sums.finite), negative += in_order(sums.negative);
    found.mean = in_order(sums.sum) / double(count), found.squares = in_order(sums.squares);
    found.not_finite = count - int64_t(finite), found.negative = int64_t(negative);
    const float top = *std::max_element(sums.top, sums.top + SUM_LANES);
    found.maximum = double(top), found.brightest = top > 0 ? find_first(values, count, top) : -1;
    alignas(64) double deviations[SUM_LANES] = {};
    for (int64_t i = 0; i < whole; i += SUM_LANES) add_deviations<SUM_LANES>(values + i, 0, found.mean, deviations);
    add_deviations<0>(values + whole, left, found.mean, deviations);
    found.deviation = in_order(deviations);
}
