import millpond from 'eslint-plugin-millpond'

export default [...millpond.configs.recommended]
