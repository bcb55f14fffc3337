import tseslint from 'typescript-eslint'

// Correctness rules only; layout belongs to prettier.
export default tseslint.config(
  {
    ignores: [
      '**/dist/',
      '**/node_modules/',
      'coverage/',
      'bench/results/',
      'test/packed/',
      'test/fixtures/grpc-clients/',
      'src/dashboard/page-assets.ts',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', '*.mjs', 'scripts/*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true },
      ],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      // `bounded<T, void>(…)`: a step without a value.
      '@typescript-eslint/no-invalid-void-type': 'off',
      // An abort rejects with the caller's own reason, a create with the driver's own error.
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      // The engine narrows what it made itself.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      'no-restricted-syntax': ['error', { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' }],
    },
  },
  {
    files: ['src/core/**'],
    ignores: ['src/core/clock.ts'],
    rules: {
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate', 'performance'],
      'no-restricted-properties': ['error', { object: 'Date', property: 'now', message: 'Time comes from the Clock.' }],
    },
  },
  {
    // Tests look where users do not, and at what types say cannot be.
    files: ['test/**', 'rig/test/**', 'demo/test/**', 'packages/*/test/**', 'bench/**'],
    rules: {
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/use-unknown-in-catch-callback-variable': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_' }],
    },
  },
  {
    // Compiled as a user's program, never run: names exist for their types.
    files: ['test/types/*-pool-types.ts'],
    rules: {
      '@typescript-eslint/no-unused-vars': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/unified-signatures': 'off',
    },
  },
  {
    // The tree's node types are compared as the texts that they are: no enum is imported at run time.
    files: ['packages/eslint-plugin/**'],
    rules: { '@typescript-eslint/no-unsafe-enum-comparison': 'off' },
  },
  {
    // ESLint takes its configuration, and a plugin, as default export.
    files: ['eslint.config.js', '*.config.ts', '*.config.mjs', 'packages/eslint-plugin/src/index.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  { files: ['**/*.js', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
)
