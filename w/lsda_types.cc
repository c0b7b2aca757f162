extern "C" void h(); struct A{int x;};struct B{int y;};
#if K==2
#define A_ B
#define B_ A
#else
#define A_ A
#define B_ B
#endif
extern "C" int f(int){try{h();}catch(A_&){return 1;}catch(B_&){return 2;}return 3;}
extern "C" void thr(int i){if(i)throw A();throw B();}