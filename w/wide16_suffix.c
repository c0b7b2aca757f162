#include <uchar.h>
#if K==1
#define X u".txt"
#else
#define X u".png"
#endif
extern long h(const char16_t*);long f(int i){return h(u"foo" X);}long g(int i){return h(X);}