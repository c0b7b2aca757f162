static const int tab[8]={1,2,3,4,5,K,7,8};int f(void){return *(volatile int*)&tab[5];}
int main(){return 0;}
