/* What the base model thinks of tokens: log-probability and rank among all, for records; outside any lane's clock. */
#include <string.h>

#include "model.h"

enum { JUDGE_BUFFER = 20 };

typedef struct Judging {
    const Model *model;
    const float *logits;
    int64_t rows, count;
    const int32_t *row, *token;
    float *total, *log_probability; /* total [rows]: log of the sum of exponentials; NAN where nobody asked */
    int32_t *rank;
    char *asked; /* [rows] */
} Judging;

static void judge_job(void *context, Worker *worker) {
    const Judging *j = context;
    const Kernels *k = j->model->kernels;
    const int64_t count = j->model->image.spec->vocabulary;
    for (int64_t r; (r = worker_next(worker, j->rows)) >= 0;) {
        if (!j->asked[r]) continue;
        const float *x = j->logits + r * count;
        float most = 0.0f;
        int32_t id;
        k->top(x, count, 1, &id, &most);
        j->total[r] = most + k->log(k->exp_sum(x, count, 1.0f, most, NULL));
    }
    for (int64_t i; (i = worker_next(worker, j->count)) >= 0;) {
        const float *x = j->logits + j->row[i] * count;
        j->log_probability[i] = x[j->token[i]] - j->total[j->row[i]];
        j->rank[i] = (int32_t)k->rank(x, count, j->token[i]);
    }
}

int native_judge(Model *model, const float *logits, int64_t rows, const int32_t *row, const int32_t *token, int64_t count,
                 float *log_probability, int32_t *rank) {
    if (!model || !logits || rows < 1 || !row || !token || count < 0 || !log_probability || !rank) return NATIVE_BAD_ARGUMENT;
    for (int64_t i = 0; i < count; i++)
        if (row[i] < 0 || row[i] >= rows || token[i] < 0 || token[i] >= model->image.spec->vocabulary) return NATIVE_BAD_ARGUMENT;
    Judging j = {.model = model, .logits = logits, .rows = rows, .count = count, .row = row, .token = token,
                 .log_probability = log_probability, .rank = rank};
    int code = pool_enter(model->pool);
    if (!code && !(j.total = buffer_room(&model->buffers[JUDGE_BUFFER], rows * 5))) code = NATIVE_NO_MEMORY;
    if (!code) {
        j.asked = (char *)(j.total + rows);
        memset(j.asked, 0, (size_t)rows);
        for (int64_t i = 0; i < count; i++) j.asked[row[i]] = 1;
        code = pool_run(model->pool, judge_job, &j, 2);
    }
    pool_leave(model->pool);
    return code;
}
