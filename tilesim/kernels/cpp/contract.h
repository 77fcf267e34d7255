// From the rows of a block to its derivatives, and to sums of products of these over pixels.
#pragma once

#include <algorithm>
#include <vector>

#include "adjoint.h"

// Lanes side by side: sums over them have one order on every processor.
typedef double Four __attribute__((vector_size(32), may_alias));
typedef double FourAnywhere __attribute__((vector_size(32), may_alias, aligned(8)));

struct Total {
    Four lanes = {};

    double sum() const { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }
};

// Arrays of a block, of which vectors are taken.
class Lines {
    struct alignas(64) Line { double lane[LANES]; };
    std::vector<Line> lines;

public:
    explicit Lines(int64_t count) : lines(count) {}
    double *operator[](int64_t number) { return lines[number].lane; }
    Four *vectors(int64_t number) { return reinterpret_cast<Four *>(lines[number].lane); }
};

// How derivatives are made of rows: coefficients (derivatives, rows), most of which are 0.
class Table {
    struct Term { int row; double factor; };
    std::vector<Term> terms;
    std::vector<size_t> ends;

    const Term *begin(int64_t number) const { return terms.data() + (number ? ends[number - 1] : 0); }
    const Term *end(int64_t number) const { return terms.data() + ends[number]; }

public:
    Table(const double *coefficients, int64_t derivatives, int64_t count) {
        for (int64_t number = 0; number < derivatives; number++) {
            for (int64_t row = 0; row < count; row++) {
                const double factor = coefficients[number * count + row];
                if (factor != 0) terms.push_back({int(row), factor});
            }
            ends.push_back(terms.size());
        }
    }

    // One derivative of a block: its terms in the order of the rows.
    void combine(Lines &rows, int64_t number, double *to) const {
        for (int at = 0; at < LANES / 4; at += 4) {
            Four a = {}, b = {}, c = {}, d = {};
            for (const Term *term = begin(number); term < end(number); term++) {
                const Four *values = rows.vectors(term->row) + at;
                const double factor = term->factor;
                a += factor * values[0], b += factor * values[1], c += factor * values[2], d += factor * values[3];
            }
            FourAnywhere *put = reinterpret_cast<FourAnywhere *>(to) + at;
            put[0] = a, put[1] = b, put[2] = c, put[3] = d;
        }
    }

    // Whether any derivative has a row: others hold nothing.
    bool uses(int64_t row) const {
        return std::any_of(terms.begin(), terms.end(), [row](const Term &term) { return term.row == row; });
    }

    // One derivative of a sum over pixels, of whose rows these are the sums.
    double of_sums(const double *sums, int64_t number) const {
        double sum = 0;
        for (const Term *term = begin(number); term < end(number); term++) sum += term->factor * sums[term->row];
        return sum;
    }
};

// Add the weighted values of a block.
inline void add_weighted(const Four *values, const Four *weights, Total &total) {
    Four sum = {};
    for (int at = 0; at < LANES / 4; at++) sum += values[at] * weights[at];
    total.lanes += sum;
}

// Sums over pixels of weighted products of every two of some values, block by block.
class Products {
    static constexpr int DOWN = 2, ACROSS = 4;  // pairs that are summed at a time
    int64_t count, padded;
    std::vector<Total> totals;
    Lines weighted;

public:
    Lines values;  // those of the block at hand; what pads them stays 0

    explicit Products(int64_t count)
        : count(count), padded((count + ACROSS - 1) / ACROSS * ACROSS), totals(padded * padded), weighted(DOWN),
          values(padded) {}

    void add_block(const double *weights) {
        for (int64_t down = 0; down < count; down += DOWN) {
            for (int row = 0; row < DOWN; row++) {
                double *to = weighted[row], *from = values[down + row];
#pragma omp simd
                for (int i = 0; i < LANES; i++) to[i] = from[i] * weights[i];
            }
            for (int64_t across = down / ACROSS * ACROSS; across < padded; across += ACROSS) add_pairs(down, across);
        }
    }

    // The sums (count, count).
    void put(double *to) const {
        for (int64_t down = 0; down < count; down++) {
            for (int64_t across = down; across < count; across++) {
                const double sum = totals[down * padded + across].sum();
                to[down * count + across] = to[across * count + down] = sum;
            }
        }
    }

private:
    void add_pairs(int64_t down, int64_t across) {
        const Four *first = weighted.vectors(0), *second = weighted.vectors(1);
        const Four *a = values.vectors(across), *b = values.vectors(across + 1);
        const Four *c = values.vectors(across + 2), *d = values.vectors(across + 3);
        Four xa = {}, xb = {}, xc = {}, xd = {}, ya = {}, yb = {}, yc = {}, yd = {};
        for (int at = 0; at < LANES / 4; at++) {
            const Four x = first[at], y = second[at];
            xa += x * a[at], xb += x * b[at], xc += x * c[at], xd += x * d[at];
            ya += y * a[at], yb += y * b[at], yc += y * c[at], yd += y * d[at];
        }
        Total *upper = totals.data() + down * padded + across, *lower = upper + padded;
        upper[0].lanes += xa, upper[1].lanes += xb, upper[2].lanes += xc, upper[3].lanes += xd;
        lower[0].lanes += ya, lower[1].lanes += yb, lower[2].lanes += yc, lower[3].lanes += yd;
    }
};
