#include <stddef.h>
#if K==1
#define X L".txt"
#else
#define X L".png"
#endif
extern long h(const wchar_t*);long f(int i){return h(L"foo" X);}long g(int i){return h(X);}