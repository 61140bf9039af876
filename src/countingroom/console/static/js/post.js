// Law: every action of a page is a POST of JSON that carries the mark of its login, which no other site can know.
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
