// Nothing: what Node takes by itself.
console.log('ready')
setInterval(() => {}, 1e9)
