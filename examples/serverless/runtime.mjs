// A stand-in for the runtime of AWS Lambda, in a process that a test stops (SIGSTOP) and continues (SIGCONT) as the service
// does with an execution environment: one event at a time, and nothing runs in between.
const { handler } = await import(process.argv[2])

process.on('message', async (event) => {
  try {
    process.send({ result: await handler(event) })
  } catch (error) {
    process.send({ error: error.message })
  }
})
process.send({ ready: true })
