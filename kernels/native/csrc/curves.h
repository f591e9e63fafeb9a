/* exp, tanh and what is made of them, elementwise over sixteen lanes: one polynomial each, for every set. */

/* Relative error below 2e-7; the argument is held to -87..88, so results are normal numbers. */
static inline vf v_exp(vf x) {
    x = v_max(v_min(x, v_set(88.0f)), v_set(-87.0f));
    vf n = v_rint(v_mul(x, v_set(1.44269504f)));
    vf r = v_fnma(n, v_set(0.693145752f), x);
    r = v_fnma(n, v_set(1.42860677e-6f), r);
    vf p = v_set(1.0f / 5040);
    p = v_fma(p, r, v_set(1.0f / 720));
    p = v_fma(p, r, v_set(1.0f / 120));
    p = v_fma(p, r, v_set(1.0f / 24));
    p = v_fma(p, r, v_set(1.0f / 6));
    p = v_fma(p, r, v_set(0.5f));
    p = v_fma(p, r, v_set(1.0f));
    p = v_fma(p, r, v_set(1.0f));
    return v_pow2(p, n);
}

static inline vf v_sigmoid_times(vf x, vf of) { /* x / (1 + exp(-of)) */
    return v_div(x, v_add(v_set(1.0f), v_exp(v_sub(v_set(0.0f), of))));
}

/* Near zero the odd polynomial of Cephes' tanhf keeps relative accuracy; beyond, 1 - 2 / (exp(2|x|) + 1). */
static inline vf v_tanh(vf x) {
    vf a = v_abs(x), z = v_mul(x, x);
    vf p = v_set(-5.70498872745e-3f);
    p = v_fma(p, z, v_set(2.06390887954e-2f));
    p = v_fma(p, z, v_set(-5.37397155531e-2f));
    p = v_fma(p, z, v_set(1.33314422036e-1f));
    p = v_fma(p, z, v_set(-3.33332819422e-1f));
    vf near = v_fma(v_mul(p, z), x, x);
    vf e = v_exp(v_add(a, a));
    vf far = v_sub(v_set(1.0f), v_div(v_set(2.0f), v_add(e, v_set(1.0f))));
    far = v_less(x, v_set(0.0f), v_sub(v_set(0.0f), far), far);
    return v_less(a, v_set(0.625f), near, far);
}

static inline vf v_silu(vf x) { return v_sigmoid_times(x, x); }

/* 0.5 x (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
static inline vf v_gelu_tanh(vf x) {
    vf u = v_mul(x, v_fma(v_mul(x, x), v_set(0.044715f), v_set(1.0f)));
    return v_sigmoid_times(x, v_mul(u, v_set(1.59576912f)));
}

/* Of positive normal numbers: Cephes' logf, relative error below 2e-7. */
static inline vf v_log(vf x) {
    const uint32_t half_root = 0x3f3504f3; /* sqrt(1/2) */
    vi t = i_add(i_bits(x), i_set(0u - half_root));
    vf e = i_signed_to_float(i_right_signed(t, 23));
    vf r = v_sub(i_float_bits(i_add(i_and(t, i_set(0x007fffff)), i_set(half_root))), v_set(1.0f)), z = v_mul(r, r);
    vf p = v_set(7.0376836292e-2f);
    p = v_fma(p, r, v_set(-1.1514610310e-1f));
    p = v_fma(p, r, v_set(1.1676998740e-1f));
    p = v_fma(p, r, v_set(-1.2420140846e-1f));
    p = v_fma(p, r, v_set(1.4249322787e-1f));
    p = v_fma(p, r, v_set(-1.6668057665e-1f));
    p = v_fma(p, r, v_set(2.0000714765e-1f));
    p = v_fma(p, r, v_set(-2.4999993993e-1f));
    p = v_fma(p, r, v_set(3.3333331174e-1f));
    vf y = v_mul(v_mul(p, r), z);
    y = v_fma(e, v_set(-2.12194440e-4f), y);
    y = v_fma(z, v_set(-0.5f), y);
    return v_fma(e, v_set(0.693359375f), v_add(r, y));
}

/* Wellons' lowbias32, as kernels/pick/noise.py has it. */
static inline vi i_mix(vi x) {
    x = i_mul(i_xor(x, i_right(x, 16)), i_set(0x7feb352du));
    x = i_mul(i_xor(x, i_right(x, 15)), i_set(0x846ca68bu));
    return i_xor(x, i_right(x, 16));
}

/* -log(-log1p(-v)) of v = (bits + 0.5) / 2^32, log1p by Kahan's w = 1 - v; -inf where v rounds to 1. */
static inline vf v_gumbel(vi bits) {
    vf whole = v_fma(i_signed_to_float(i_right(bits, 16)), v_set(65536.0f),
                     i_signed_to_float(i_and(bits, i_set(0xffff))));
    vf v = v_mul(v_add(whole, v_set(0.5f)), v_set(0x1p-32f)), one = v_set(1.0f), zero = v_set(0.0f);
    vf w = v_sub(one, v), minus = v_sub(zero, v);
    vf near = v_div(v_mul(v_log(v_max(w, v_set(0x1p-30f))), v), v_sub(one, w));
    vf y = v_sub(zero, v_log(v_sub(zero, v_less(w, one, near, minus))));
    return v_less(v, one, y, v_set(-__builtin_inff()));
}
