extern int q(int);int f(int i,int x){static const void*const o[]={&&a,
#if K==1
&&b,&&c
#else
&&c,&&b
#endif
,&&d};goto *(o[i&3]);a:return q(x)+1;b:return q(x+1)+2;c:return q(x*2);d:return x;}