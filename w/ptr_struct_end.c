struct r{const int*b,*e;};static const int tab[4]={1,2,K,4};static const int y[4]={9};static const struct r r={tab,tab+4};int g(int i){return y[i];}int f(void){int s=0;for(const int*p=r.b;p!=r.e;p++)s+=*p;return s;}
int main(){return 0;}
