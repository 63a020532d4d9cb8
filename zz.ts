import { parseCatalog } from './catalog/load';
import { topologyBoxes } from './components/boxes';
import { rules } from './rules';
import { modelFacts } from './rules/assert';
import { catalogTexts, stackText, testModel } from './test/support/model';
const T=(n:string,f:()=>any)=>{const b=process.cpuUsage();const r=f();const u=process.cpuUsage(b);const ms=(u.user+u.system)/1000;if(ms>30)console.log(n,ms|0);return r;};
for (const shape of ['a','a-','a.', 'a:']) for (const len of [10000,80000]) {
 console.log(shape,len);
 const text=`${catalogTexts.modules['shop.yaml']}environment:\n  A: "x${shape.repeat(len/shape.length)}!"\n`;
 try{
 const catalog=T('parse',()=>parseCatalog({...catalogTexts,modules:{'shop.yaml':text}}));
 const model=testModel({catalog,modules:catalog.modules,files:{...catalogTexts,modules:{'shop.yaml':text},stacks:{'Pulumi.test.yaml':stackText}}});
 T('boxes',()=>topologyBoxes(model));
 const facts=T('facts',()=>modelFacts(model));
 for(const r of rules) T(r.id,()=>r.check(facts));
 }catch(e){console.log(String(e).slice(0,200))}
}
