static const int x0[4]={1,2,3,4};static const int tab[16]={1,2,3,4,5,K,7};static const int y[9]={5};int g(int i){return x0[i]+y[i];}int f(int k){int s=0;for(const int*p=tab+16;p>tab;)s=s*k+*--p;return s;}
int main(){return 0;}
