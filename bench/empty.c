/* A library with nothing in it, to be preloaded. */
extern const int bench_empty;
const int bench_empty = 0;
