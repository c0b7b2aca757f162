static const int tab[80000]={1,2,3,4,5,K,7,8};int f(long i){return tab[i];}
int main(){return 0;}
