struct e{int a,b;};
#define E(n,v) static const struct e n={v,v};static const struct e*const p_##n __attribute__((section("regtab"),used))=&n
E(a1,1);E(a2,2);E(a3,3);E(a4,4);E(a5,5);E(a6,K);E(a7,7);E(a8,8);E(a9,9);
extern const struct e*const __start_regtab[] __attribute__((visibility("hidden"))),*const __stop_regtab[] __attribute__((visibility("hidden")));int f(int k){int s=0;for(const struct e*const*p=__start_regtab;p<__stop_regtab;p++)s=s*k+(*p)->a;return s;}
int main(){return 0;}
