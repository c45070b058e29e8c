/* Elementwise functions of the heads, in double: after rounding to float the same as Python's, without libm. */
#include "internal.h"

/* Neither infinite nor NaN: not all bits of the exponent are set. */
bool edgebert_all_finite(const void *floats, size_t count) {
    const uint32_t exponent = 0x7f800000u, *bits = floats;
    bool all = true;
    for (size_t i = 0; i < count; i++)
        all &= (bits[i] & exponent) != exponent;
    return all;
}

/* Twice, so that their sum is ln 2 to more than double precision. */
static const double LN2_HIGH = 0x1.62e42fee00000p-1, LN2_LOW = 0x1.a39ef35793c76p-33, LOG2_E = 0x1.71547652b82fep0;
static const double TWO_OVER_ROOT_PI = 0x1.20dd750429b6dp0, ROOT_HALF = 0x1.6a09e667f3bcdp-1;
static const double ROOT_TWO_OVER_PI = 0x1.9884533d43651p-1;

double edgebert_exp(double x) {
    if (!(x > -700.0))
        return 0.0;
    if (x > 700.0)
        x = 700.0;
    int64_t power = (int64_t)(x * LOG2_E + (x < 0 ? -0.5 : 0.5));
    double r = (x - (double)power * LN2_HIGH) - (double)power * LN2_LOW;
    double sum = 1.0;
    for (int n = 14; n > 0; n--) /* |r| is at most 0.35: the fifteenth term is below 2**-60 */
        sum = 1.0 + sum * r / n;
    union {
        int64_t bits;
        double value;
    } scale = {(power + 1023) << 52};
    return sum * scale.value;
}

static double hyperbolic_tangent(double x) {
    double a = x < 0 ? -x : x, result;
    if (a < 0.25) { /* where 1 - exp(-2a) has few digits: the continued fraction of Lambert */
        double square = a * a, fraction = 19.0;
        for (int n = 17; n > 0; n -= 2)
            fraction = n + square / fraction;
        result = a / fraction;
    } else {
        double e = edgebert_exp(-2.0 * a);
        result = (1.0 - e) / (1.0 + e);
    }
    return x < 0 ? -result : result;
}

/* erf(x) = 2 / sqrt(pi) exp(-x**2) sum over n of 2**n x**(2n + 1) / (1 * 3 * ... * (2n + 1)), all terms of one sign. */
static double error_function(double x) {
    double a = x < 0 ? -x : x, term = a, sum = a;
    if (a > 6.0)
        return x < 0 ? -1.0 : 1.0;
    for (int n = 1; n < 200 && term > sum * 0x1p-60; n++) {
        term *= 2.0 * a * a / (2 * n + 1);
        sum += term;
    }
    double result = TWO_OVER_ROOT_PI * edgebert_exp(-a * a) * sum;
    return x < 0 ? -result : result;
}

double edgebert_activate(double x, int64_t code) {
    switch (code) {
    case EDGEBERT_TANH:
        return hyperbolic_tangent(x);
    case EDGEBERT_RELU:
        return x > 0 ? x : 0.0;
    case EDGEBERT_GELU_ERF:
        return 0.5 * x * (1.0 + error_function(x * ROOT_HALF));
    case EDGEBERT_GELU_TANH:
        return 0.5 * x * (1.0 + hyperbolic_tangent(ROOT_TWO_OVER_PI * (x + 0.044715 * x * x * x)));
    case EDGEBERT_SILU:
        return x / (1.0 + edgebert_exp(-x));
    case EDGEBERT_GELU_QUICK:
        return x / (1.0 + edgebert_exp(-1.702 * x));
    default:
        return x;
    }
}
