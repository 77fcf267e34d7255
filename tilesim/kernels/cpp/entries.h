// Sums by the entry of a table of which few are touched: memory follows those, not the table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

class Entries {
    struct Place {
        int64_t number;  // of the entry; negative: free
        double sum;
    };
    std::vector<Place> places = std::vector<Place>(1024, Place{-1, 0.0});  // a power of two, at most half of them taken
    int64_t taken = 0;

    // Where an entry is, or is to be.
    Place &find(int64_t number) {
        const uint64_t mask = places.size() - 1;
        uint64_t at = (uint64_t(number) * 0x9E3779B97F4A7C15u) >> 20 & mask;
        while (places[at].number != number && places[at].number >= 0) at = (at + 1) & mask;
        return places[at];
    }

    void grow() {
        std::vector<Place> before(2 * places.size(), Place{-1, 0.0});
        before.swap(places);
        for (const Place &one : before) {
            if (one.number >= 0) find(one.number) = one;
        }
    }

  public:
    // Values of one entry are added in the order in which they come.
    void add(int64_t number, double value) {
        Place &place = find(number);
        if (place.number == number) {
            place.sum += value;
            return;
        }
        place = {number, value};
        if (++taken > int64_t(places.size() / 2)) grow();
    }

    int64_t count() const { return taken; }

    // Numbers, rising, and sums.
    void take(int64_t *numbers, double *sums) const {
        std::vector<Place> found;
        std::copy_if(places.begin(), places.end(), std::back_inserter(found), [](const Place &p) { return p.number >= 0; });
        std::sort(found.begin(), found.end(), [](const Place &a, const Place &b) { return a.number < b.number; });
        for (const Place &one : found) *numbers++ = one.number, *sums++ = one.sum;
    }
};
