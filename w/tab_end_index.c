static const int y0=7;static const int tab[8]={1,2,3,4,5,K,7,8};static const int y[8]={9,9,9};int f(long i){return (tab+8)[i];}int g(int i){return y[i]+(int)(long)&y0;}
int main(){return 0;}
