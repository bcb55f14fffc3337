export { DRIVER_NAMES, MAKERS, type Maker } from './drivers.ts'
export { isWithin } from './versions.ts'
export { faultOf, OPTION_FAULTS, type Fault, type OptionFault } from './catalogue.ts'
