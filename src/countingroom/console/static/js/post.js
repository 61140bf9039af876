// Sends every action of a page: a POST of JSON with the CSRF token of the session.
const mark = document.querySelector("meta[name=mark]")?.content ?? "console";

export async function post(path, body = {}) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Countingroom": mark },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    return answer.ok ? { done: true, told } : { done: false, cause: told.cause };
  } catch (error) {
    return {
      done: false,
      cause: {
        code: "unknown",
        message: `The console did not answer: ${error.message}`,
        suggestion: "Look at the state before sending it again.",
      },
    };
  }
}
