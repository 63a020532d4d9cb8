import { Markup, PALETTE } from '../markup';

/** The page's looks: one column that grows, light and dark by the reader's setting, and paper. */
export const STYLE = new Markup(`${PALETTE}
*{box-sizing:border-box}
html{scroll-padding-top:4rem}
body{margin:0;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;background:var(--ground);color:var(--text)}
.wide{max-width:78rem;margin:0 auto;padding:0 1.5rem}
a{color:var(--accent);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,button:focus-visible,input:focus-visible,select:focus-visible,[tabindex]:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
code{font:.86em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.skip{position:absolute;left:-100rem}
.skip:focus{left:1rem;top:.6rem;z-index:9;padding:.4rem .8rem;background:var(--ground)}
.bar{position:sticky;top:0;z-index:5;background:var(--ground);border-bottom:1px solid var(--line)}
.bar .wide{display:flex;align-items:center;gap:1.4rem;min-height:3.2rem}
.bar strong{white-space:nowrap}
.bar nav{overflow-x:auto;scrollbar-width:none}
.bar ul{display:flex;gap:1.2rem;margin:0;padding:.3rem;list-style:none}
.bar nav a{color:var(--soft);text-decoration:none;white-space:nowrap}
.bar nav a:hover{color:var(--accent);text-decoration:underline}
main.wide{padding-top:2rem;padding-bottom:4rem}
h1{margin:0;font-size:1.9rem;line-height:1.2;letter-spacing:-.01em}
h2{margin:3.2rem 0 .3rem;font-size:1.35rem;line-height:1.25;letter-spacing:-.005em}
h3,h4{margin:0;font-size:1rem}
.lead{margin:.3rem 0 1.2rem;color:var(--soft);max-width:48rem}
.stats{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.8rem;margin:1.4rem 0}
.stats div{padding:.8rem 1rem;border:1px solid var(--line);border-radius:.6rem;background:var(--box)}
.stats dt{color:var(--soft);font-size:.82rem}
.stats dd{margin:0;font-size:1.45rem;font-weight:600;line-height:1.2;font-variant-numeric:tabular-nums}
.picture{margin:0;padding:1rem;border:1px solid var(--line);border-radius:.8rem;overflow-x:auto}
.picture svg{display:block;width:100%;min-width:44rem;height:auto}
.way{display:grid;grid-template-columns:repeat(auto-fill,minmax(15.5rem,1fr));gap:.8rem;margin:0;padding:0;list-style:none;counter-reset:step}
.way li{padding:.9rem 1rem;border:1px solid var(--line);border-radius:.6rem;background:var(--box);counter-increment:step}
.way h3{display:flex;align-items:baseline;gap:.5rem}
.way h3::before{content:counter(step);flex:none;min-width:1.55rem;padding:0 .35rem;border-radius:1rem;background:var(--tint);color:var(--accent);font-size:.82rem;line-height:1.55rem;text-align:center}
.way p{margin:.4rem 0 0;font-size:.9rem}
.way .where{color:var(--soft);font-size:.84rem}
#Filters{display:none;flex-wrap:wrap;align-items:end;gap:.6rem .8rem;margin:1rem 0}
.scripted #Filters{display:flex}
#Filters label{display:grid;gap:.15rem;color:var(--soft);font-size:.8rem}
#Filters label:first-child{flex:1 1 16rem}
input,select,button{min-height:2.4rem;padding:.3rem .7rem;border:1px solid var(--edge);border-radius:.45rem;background:var(--ground);color:var(--text);font:inherit;font-size:.93rem}
select{max-width:12rem}
button{background:var(--box);cursor:pointer}
button:hover{border-color:var(--accent)}
.hint{display:none;margin:0 0 .8rem;color:var(--soft);font-size:.86rem}
.scripted .hint{display:flex;flex-wrap:wrap;gap:.2rem 1.4rem;justify-content:space-between}
kbd{padding:.05rem .35rem;border:1px solid var(--edge);border-radius:.3rem;background:var(--box);font:inherit;font-size:.8rem}
.rows{border:1px solid var(--line);border-radius:.6rem;overflow:clip}
.module+.module{border-top:1px solid var(--line)}
.module[hidden]{display:none}
.module{scroll-margin-top:4rem}
.module>summary{display:grid;grid-template-columns:1rem minmax(0,1.7fr) minmax(0,1.5fr) minmax(0,.55fr) minmax(0,.8fr);gap:.2rem 1rem;align-items:center;padding:.7rem 1rem;cursor:pointer;list-style:none}
.module>summary::-webkit-details-marker{display:none}
.module>summary::before{content:"";width:.45rem;height:.45rem;border-right:2px solid var(--edge);border-bottom:2px solid var(--edge);transform:rotate(-45deg)}
.module[open]>summary::before{transform:rotate(45deg)}
.module>summary:hover,.module[open]>summary{background:var(--box)}
.module>summary:focus-visible{outline-offset:-3px}
.module[open]>summary{border-bottom:1px solid var(--line)}
summary p{margin:0;color:var(--soft);font-size:.88rem;overflow-wrap:anywhere}
summary h3{overflow-wrap:anywhere}
.chips{display:flex;flex-wrap:wrap;gap:.3rem;margin:0;padding:0;list-style:none}
.chips li{padding:.05rem .6rem;border-radius:1rem;background:var(--tint);font-size:.84rem;overflow-wrap:anywhere}
.inside{display:grid;grid-template-columns:repeat(auto-fill,minmax(21rem,1fr));gap:1.4rem 2rem;padding:1.2rem 1rem 1.6rem}
.inside>*{min-width:0}
.full{grid-column:1/-1}
h4{margin-bottom:.35rem;color:var(--accent);font-size:.9rem}
*+h4{margin-top:1rem}
dl.facts{display:grid;grid-template-columns:minmax(6.5rem,max-content) minmax(0,1fr);gap:.15rem 1rem;margin:0;font-size:.9rem}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
.plain{margin:0;padding:0;list-style:none;font-size:.9rem}
.plain li{overflow-wrap:anywhere}
.plain li+li{margin-top:.15rem}
.steps{margin:0;padding-left:1.3rem;font-size:.9rem}
.steps li{padding-left:.2rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse;font-size:.88rem}
th,td{padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:600}
.num{font-variant-numeric:tabular-nums}
tbody tr:last-child>*{border-bottom:0}
.parts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(24rem,100%),1fr));gap:.8rem;margin-top:1.4rem}
.part:has(details[open]){grid-column:1/-1}
.part{min-width:0;border:1px solid var(--line);border-radius:.6rem;padding:1rem}
.part>p{margin:.1rem 0 .6rem;overflow-wrap:anywhere}
.part details{margin-top:.5rem;font-size:.9rem}
.part summary,.inside summary{cursor:pointer;color:var(--accent)}
.space{margin-top:.9rem;padding-top:.8rem;border-top:1px solid var(--line)}
.space h4{color:var(--text)}
.space .facts{margin-bottom:.4rem}
.soft{color:var(--soft)}
.queue+.queue{margin-top:1.6rem}
.queue .picture{margin:.5rem 0}
footer{border-top:1px solid var(--line);padding:1.2rem 0 2rem;color:var(--soft);font-size:.86rem}
@media (max-width:52rem){
.wide{padding:0 1rem}
main.wide{padding-top:1.2rem}
h1{font-size:1.55rem}
h2{margin-top:2.4rem}
.module>summary{grid-template-columns:1rem minmax(0,1fr);padding:.7rem .8rem}
.module>summary>*{grid-column:2}
.module>summary::before{grid-row:1}
.inside{grid-template-columns:minmax(0,1fr);padding:1rem .8rem 1.3rem}
#Filters label{flex:1 1 9rem}
#Filters select{max-width:none;width:100%}
.keys{display:none}
table{width:max-content;min-width:100%}
th,td{max-width:18rem}
td code{overflow-wrap:normal}
}
@media print{
:root{color-scheme:light;--ground:#fff;--box:#fff;--sunk:#fff;--line:#bbb;--edge:#777;--text:#000;--soft:#333;--accent:#000;--tint:#eee}
body{font-size:10.5pt}
.bar,.skip,#Filters,.hint,.scripted #Filters,.scripted .hint{display:none}
.wide{max-width:none;padding:0}
main.wide{padding:0}
h2,h3,h4{break-after:avoid}
.module>summary,.way li,.part .facts,tr,.stats div{break-inside:avoid}
.rows{overflow:visible}
.picture svg{min-width:0}
}`);
