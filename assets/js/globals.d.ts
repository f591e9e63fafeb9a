// What the page's scripts share. Each file puts its part into one object, so that the order of the scripts is all there
// is to know; that object is as loose as that. Messages and pictures are typed: types.d.ts.
interface Window {
  ReDrafter: any;
  Plotly: any; // fetched when a chart is first opened
}
