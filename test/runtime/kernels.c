// The code of the tests' host image. Each entry starts at a multiple of 1024, in source order, so that its offset is
// known; there are no constants in memory, because only .text goes into the image.
typedef long long i64;
typedef unsigned long u64;
struct HostArgs {
  void *const *buffers;
  const i64 *ints;
  void *workspace, *scratch;
  i64 begin, end;
  const void *const *externals;
};
#define ENTRY(name) __attribute__((aligned(1024))) void name(const struct HostArgs *a)

// A task is 16 elements.
#define FOR_EACH(i, n) for (i64 i = a->begin * 16, last = a->end * 16 < (n) ? a->end * 16 : (n); i < last; ++i)

// 0: (x, y) -> z; [n]
ENTRY(add) {
  const float *x = a->buffers[0], *y = a->buffers[1];
  float *z = a->buffers[2];
  FOR_EACH(i, a->ints[0]) z[i] = x[i] + y[i];
}
// 1: x -> y = x * k; [n, k]
ENTRY(scale) {
  const float *x = a->buffers[0];
  float *y = a->buffers[1];
  FOR_EACH(i, a->ints[0]) y[i] = x[i] * (float)a->ints[1];
}
// 2: x -> y = x + k on i64; [n, k]
ENTRY(shift) {
  const i64 *x = a->buffers[0];
  i64 *y = a->buffers[1];
  FOR_EACH(i, a->ints[0]) y[i] = x[i] + a->ints[1];
}
// 3: x -> partial sums of 16 in the workspace, through scratch; [n]
ENTRY(partial) {
  const float *x = a->buffers[0];
  float *w = a->workspace, *s = a->scratch;
  for (i64 t = a->begin; t < a->end; ++t) {
    s[0] = w[t]; // zero where the workspace has been zeroed
    for (i64 i = t * 16; i < t * 16 + 16 && i < a->ints[0]; ++i)
      s[0] += x[i];
    w[t] = s[0];
  }
}
// 4: the partial sums -> y[0]; [n]
ENTRY(total) {
  float *y = a->buffers[1], *w = a->workspace, sum = w[0] - w[0];
  for (i64 t = 0; t < (a->ints[0] + 15) / 16; ++t)
    sum += w[t];
  y[0] = sum;
}
// 5: x -> y through the table's memcpy; [bytes]
ENTRY(external) {
  typedef void *(*copy)(void *, const void *, u64);
  ((copy)a->externals[0])(a->buffers[1], a->buffers[0], a->ints[0]);
}
