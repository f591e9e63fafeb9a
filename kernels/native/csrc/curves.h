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
