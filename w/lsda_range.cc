extern "C" void h(),h2(); extern "C" int f(int){
#if K==1
 try{h();h2();}catch(...){return 1;}
#else
 h();try{h2();}catch(...){return 1;}
#endif
return 3;}