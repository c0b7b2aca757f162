extern int q(int);int f(int i,int x){switch(i){
#if K==1
case 0:return q(x)+1;case 1:return q(x+5)*2;
#else
case 1:return q(x)+1;case 0:return q(x+5)*2;
#endif
case 2:return q(x*7);case 3:return x^99;case 4:return q(x-1)-1;case 5:return q(~x);}return 0;}int main(){return 0;}
#ifdef __clang__
#endif
