export { DRIVER_NAMES, MAKERS, type Maker } from './drivers.ts'
export { faultOf, OPTION_FAULTS, type Fault, type OptionFault } from './catalogue.ts'
