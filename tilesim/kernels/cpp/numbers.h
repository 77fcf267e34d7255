// Vector arithmetic and elementary functions without branches or calls, in float32 and float64.
#pragma once

#include <cmath>
#include <cstdint>

template <class T> inline T square(T x) { return x * x; }

// What is nearer to 1 / sqrt(x) than y, to the third order.
inline double nearer_root(double x, double y) {
    const double off = 1.0 - x * y * y;
    return y + y * off * (0.5 + 0.375 * off);
}

// 1 / sqrt(x) but for the last bit, in products only: root and division take longer. Half the exponent begins within 4 %,
// one step makes 2e-5 of that and another 1e-15.
inline double inverse_root(double x) {
    union { double number; uint64_t bits; } guess = {x};
    guess.bits = 0x5fe6eb50c7b537a9 - (guess.bits >> 1);
    const double y = nearer_root(x, nearer_root(x, guess.number));
    return y + y * (0.5 - 0.5 * x * y * y);
}

// Not a number goes to `low`, so that no index leaves the table.
inline double clamp(double x, double low, double high) {
    x = x > low ? x : low;
    return x < high ? x : high;
}

inline double dot(const double *u, double x, double y, double z) { return u[0] * x + u[1] * y + u[2] * z; }

// sin(pi x) / x from x^2, for |x| <= 1/2; minimax polynomials, relative error 5e-9 (float) and 3e-19 (double) before rounding.
inline float sinc_pi(float u) {
    float p = 0.0775603877265f;
    p = p * u - 0.598242126841f;
    p = p * u + 2.55006972641f;
    p = p * u - 5.1677096848f;
    return p * u + 3.1415926369f;
}

inline double sinc_pi(double u) {
    double p = 7.6947271574417398646e-7;
    p = p * u - 2.190318540711956477e-5;
    p = p * u + 4.6629968877016402758e-4;
    p = p * u - 7.3704304787627459033e-3;
    p = p * u + 8.2145886569892819856e-2;
    p = p * u - 0.59926452931873824753;
    p = p * u + 2.55016403987729394;
    p = p * u - 5.1677127800499695287;
    return p * u + 3.1415926535897932377;
}

template <class T> inline T sin_pi(T x) { return x * sinc_pi(x * x); }

// cos(pi x) for |x| <= 1/2, absolute error 2e-10 and 1e-20.
inline float cos_pi(float x) {
    const float u = x * x;
    float p = -0.0246157442666f;
    p = p * u + 0.235068651459f;
    p = p * u - 1.33523906012f;
    p = p * u + 4.0587113691f;
    p = p * u - 4.93480219662f;
    return 1.0f + u * p;
}

inline double cos_pi(double x) {
    const double u = x * x;
    double p = -1.3476810438077299396e-7;
    p = p * u + 4.3011812109377893034e-6;
    p = p * u - 1.0463762516505025276e-4;
    p = p * u + 1.9295742382184159055e-3;
    p = p * u - 2.5806891383797850731e-2;
    p = p * u + 0.23533063035858764945;
    p = p * u - 1.3352627688545819532;
    p = p * u + 4.0587121264167681463;
    p = p * u - 4.9348022005446793093;
    return 1.0 + u * p;
}

// 2^x for |x| <= 1/2, relative error 2e-9 and 2e-16.
inline float exp2_near(float x) {
    return 1.00000000055f + x * (0.693147205737f + x * (0.240226468907f + x * (0.0555032877681f +
           x * (0.00961848895568f + x * (0.00133999312744f + x * 0.000153458124124f)))));
}

inline double exp2_near(double x) {
    double p = 7.0372781704817272467e-9;
    p = p * x + 1.0208537950682937407e-7;
    p = p * x + 1.3215662840455609298e-6;
    p = p * x + 1.5252658116301479516e-5;
    p = p * x + 1.5403529961116555868e-4;
    p = p * x + 1.3333558228561942586e-3;
    p = p * x + 9.6181291081346071033e-3;
    p = p * x + 5.5504108664458830376e-2;
    p = p * x + 0.24022650695908767735;
    p = p * x + 0.69314718055994977511;
    return p * x + 1.0000000000000000661;
}

// exp(x) with the precision of T and the range of float64; zero where that has no normal numbers.
template <class T> inline double exponential(double x) {
    const double turns = clamp(x * 1.4426950408889634074, -1100.0, 1023.0);
    const double shifted = turns + 6755399441055744.0;  // 1.5 x 2^52: the low bits hold the nearest whole number
    const double whole = shifted - 6755399441055744.0;
    union { double number; int64_t bits; } power = {shifted};
    power.bits = (power.bits + 1023) << 52;
    // x - whole / log2(e) in two parts keeps what the product has rounded away.
    const double rest = (x - whole * 0.693147180369123816490) - whole * 1.90821492927058770002e-10;
    const double value = power.number * double(exp2_near(T(rest * 1.4426950408889634074)));
    return turns < -1022.0 ? 0.0 : value;
}
